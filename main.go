// Breakwater is a container registry appliance in one process: the OCI
// distribution API, the token service of docker clients and Harbor's REST API
// on one port, over one data folder.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// version is set by the linker (see the Makefile).
var version = "dev"

func main() { os.Exit(run()) }

// run is main for tests: it returns the exit status.
func run() int {
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "breakwater: "+err.Error())
		if e, ok := errors.AsType[*exit](err); ok {
			return e.status
		}
		return 1
	}
	return 0
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "breakwater",
		Short:         "A container registry appliance in one binary",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(nearestFlag)
	root.AddCommand(serveCommand(), adminCommand(), feedsCommand(), fsckCommand(), gcCommand(), healthcheckCommand(), versionCommand())
	return root
}

// nearestFlag names the flag that was meant by one that is not known.
func nearestFlag(cmd *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if best := core.Nearest(unknown.GetSpecifiedName(), known); best != "" {
		return fmt.Errorf("%w (did you mean --%s?)", err, best)
	}
	return fmt.Errorf("%w; %s --help lists all", err, cmd.CommandPath())
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintf(cmd.OutOrStdout(), "breakwater %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
