package main

import (
	"runtime"

	"github.com/spf13/cobra"

	"angarium/internal/buildinfo"
)

// versionOutput is what --json prints of version.
type versionOutput struct {
	Version string `json:"version"`
	Go      string `json:"go"` // the toolchain
}

func newVersionCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if g.json {
				return g.printJSON(versionOutput{buildinfo.Version(), runtime.Version()})
			}
			return g.printf("syncctl %s (%s)\n", buildinfo.Version(), runtime.Version())
		},
	}
}
