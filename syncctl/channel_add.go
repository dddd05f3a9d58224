package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newChannelAddCommand(g *globals) *cobra.Command {
	var req control.NewChannel
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Let another node join this one",
		Long: `Let another node join this one, and print the token that it is started with
(angarium serve --node NAME --join-file FILE), one line and nothing else. The
token holds a secret, and is shown only this once. A node that joins a cluster is
given a token of each of its nodes, one a line in one file.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			if cmd.Flags().Changed("address") && req.Address == "" {
				return usagef("--address names no address")
			}
			req.Name = names[0]
			return runChannelAdd(cmd.Context(), g, req)
		},
	}
	cmd.Flags().StringVar(&req.Address, "address", "", "HOST:PORT at which the other node reaches this one (default as configured, or as it listens)")
	return cmd
}

func runChannelAdd(ctx context.Context, g *globals, req control.NewChannel) error {
	var token control.JoinToken
	err := g.connect(ctx, false, func(c *control.Client, _ *meter) (err error) {
		token, err = c.AddChannel(ctx, req)
		return err
	})
	switch {
	case err != nil:
		return err
	case g.json:
		return g.printJSON(token)
	}
	if err := g.printf("%s\n", plain(token.Token)); err != nil {
		return err
	}
	if !g.quiet && isTerminal(g.stderr) {
		fmt.Fprintf(g.stderr, "hint: keep it in a file that only the server of %s can read, and start that with --join-file FILE; it reaches this node at %s\n",
			plain(token.Name), plain(token.Address))
	}
	return nil
}
