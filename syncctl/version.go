package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
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
				return g.printJSON(versionOutput{version(), runtime.Version()})
			}
			return g.printf("syncctl %s (%s)\n", version(), runtime.Version())
		},
	}
}

// version is the module's version as the build knows it, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return "devel"
}
