package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"angarium/internal/config"
)

func newConfigCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check or show the configuration",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&file, "config", "", "configuration file (angarium.toml)")
	load := func() (config.Config, error) {
		if file == "" {
			return config.Default(), nil
		}
		cfg, err := config.Load(file)
		if err != nil {
			err = usageError{err}
		}
		return cfg, err
	}
	var comments bool
	show := &cobra.Command{
		Use:   "show",
		Short: "Print the configuration in force, or the default one without --config",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load()
			if err != nil {
				return err
			}
			return cfg.WriteTOML(cmd.OutOrStdout(), comments)
		},
	}
	show.Flags().BoolVar(&comments, "documented", false, "with a comment on every setting")
	check := &cobra.Command{
		Use:   "check",
		Short: "Check a configuration file",
		Long:  "Check a configuration file.\n" + exitHelp,
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load()
			if err == nil {
				err = checkConfig(cfg)
			}
			if err == nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), "ok")
			}
			return err
		},
	}
	cmd.AddCommand(show, check)
	return cmd
}
