package main

import (
	"github.com/spf13/cobra"

	"angarium/internal/control"
)

func newAccountCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{Use: "account", Short: "Manage accounts"}
	makeGroup(cmd)
	cmd.AddCommand(newAccountAddCommand(g), newAccountListCommand(g), newAccountShowCommand(g), newAccountSetPasswordCommand(g),
		newAccountDisableCommand(g), newAccountEnableCommand(g), newAccountDeleteCommand(g))
	return cmd
}

// done tells of an account that was changed.
func (g *globals) done(name, what string) error {
	if g.json {
		return g.printJSON(control.AccountResult{Name: name, OK: true})
	}
	return g.printf("%s: %s\n", plain(name), what)
}

func accountState(a control.Account) string {
	if a.Disabled {
		return "disabled"
	}
	return "enabled"
}
