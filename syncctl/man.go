package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"angarium/internal/buildinfo"
)

func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the manual pages into a directory",
		Hidden: true, // for whoever packages it
		Args:   args(cobra.ExactArgs(1)),
		RunE:   func(cmd *cobra.Command, dirs []string) error { return runMan(cmd.Root(), dirs[0]) },
	}
}

func runMan(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the manual pages: %w", err)
	}
	header := &doc.GenManHeader{Title: "SYNCCTL", Section: "8", Source: "Angarium " + buildinfo.Version(), Manual: "Angarium"}
	if err := doc.GenManTree(root, header, dir); err != nil {
		return fmt.Errorf("write the manual pages: %w", err)
	}
	return nil
}
