package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/config"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// settings reads the configuration of a command from its flags, the
// environment and the file.
func settings(cmd *cobra.Command) (config.Config, error) {
	cfg, err := config.Load(cmd.Flags(), os.Environ(), config.DefaultFile)
	if err != nil {
		return cfg, err
	}
	return cfg, cfg.Validate()
}

func adminCommand() *cobra.Command {
	admin := &cobra.Command{Use: "admin", Short: "Help an administrator who cannot sign in"}
	admin.AddCommand(resetPasswordCommand())
	return admin
}

func resetPasswordCommand() *cobra.Command {
	var fromStdin bool
	cmd := &cobra.Command{
		Use:   "reset-password [USERNAME]",
		Short: "Give a user, by default admin, a new password; it works while the registry runs",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return resetPassword(cmd, append(args, "admin")[0], fromStdin)
		},
	}
	config.Flags(cmd.Flags())
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the new password from standard input instead of making one")
	return cmd
}

func resetPassword(cmd *cobra.Command, username string, fromStdin bool) error {
	password := auth.RandomPassword()
	if fromStdin {
		line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		if err != nil && err != io.EOF {
			return fmt.Errorf("read the password: %w", err)
		}
		password = strings.TrimRight(line, "\r\n")
	}
	err := withApp(cmd, func(ctx context.Context, a *app.App) error { return a.ResetPassword(ctx, username, password) })
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if fromStdin {
		_, err = fmt.Fprintf(out, "The password of %s is changed.\n", username)
	} else {
		_, err = fmt.Fprintf(out, "The password of %s is now: %s\nIt is shown this once. Sign in and change it.\n", username, password)
	}
	return err
}

// withApp opens the database of the data folder beside a registry that may be
// running, for work that touches no image.
func withApp(cmd *cobra.Command, work func(context.Context, *app.App) error) (err error) {
	cfg, err := settings(cmd)
	if err != nil {
		return err
	}
	if err := hasDatabase(cfg); err != nil {
		return err
	}
	ctx := cmd.Context()
	st, err := store.Open(ctx, filepath.Join(cfg.Data, databaseFile), noJournal{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	a, err := app.New(ctx, st, nil, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
	if err != nil {
		return err
	}
	defer a.Close()
	return work(ctx, a)
}

// hasDatabase refuses a data folder without a registry, such as one misspelled.
func hasDatabase(cfg config.Config) error {
	if _, err := os.Stat(filepath.Join(cfg.Data, databaseFile)); err != nil {
		return fmt.Errorf("there is no registry in %s; name its data folder with --data", cfg.Data)
	}
	return nil
}

// noJournal refuses: the journal belongs to the running registry.
type noJournal struct{}

var errNoJournal = errors.New("images can only be changed by the running registry")

// Append implements store.Journal.
func (noJournal) Append([]core.JournalEntry) (from, to uint64, err error) { return 0, 0, errNoJournal }

// Abort implements store.Journal.
func (noJournal) Abort(uint64, uint64) error { return errNoJournal }

const healthTimeout = 5 * time.Second

func healthcheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the registry on this machine whether it is healthy; for containers and monitoring",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := settings(cmd)
			if err != nil {
				return err
			}
			return healthcheck(cmd.Context(), cmd.OutOrStdout(), localURL(cfg)+"/api/v2.0/health")
		},
	}
	config.Flags(cmd.Flags())
	return cmd
}

// localURL is where the registry listens, as seen from this machine.
func localURL(cfg config.Config) string {
	host, port, _ := net.SplitHostPort(cfg.Listen) // Validate has checked it
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	scheme := "https"
	if cfg.HTTP {
		scheme = "http"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

func healthcheck(ctx context.Context, out io.Writer, url string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	// The certificate is for the names clients use, not for this address. The
	// request carries no secret and stays on this machine.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("the registry does not answer: %w", err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || !strings.Contains(string(body), `"status":"healthy"`) {
		return fmt.Errorf("the registry is not healthy: %s: %s", response.Status, body)
	}
	_, err = fmt.Fprintln(out, "healthy")
	return err
}
