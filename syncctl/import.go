package main

import (
	"context"
	"net"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"angarium/internal/control"
)

// importOptions is what the commands of import share.
type importOptions struct {
	req           control.ImportRequest
	account       string // of a single one
	user          string
	accounts      string // file of many
	maildir       string
	authUser      string
	passwordStdin bool
	rate          string
}

func newImportCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Copy accounts into the store",
		Long: `Copy accounts into the store from Maildir, mbox, an export, or another IMAP server.
It can be interrupted and run again, and then copies only what is new
(docs/migration.md).`,
	}
	cmd.AddCommand(
		newImportFilesCommand(g, "maildir", "a Maildir", "a Maildir++ as of Dovecot or Courier, or one with folders as directories"),
		newImportFilesCommand(g, "mbox", "an mbox file", "an mbox file, or a directory of such files"),
		newImportFilesCommand(g, "archive", "an export", "a directory that syncctl export archive has made"),
		newImportServerCommand(g, "imap", "an IMAP server", false), newImportServerCommand(g, "dovecot", "Dovecot", true),
		newImportServerCommand(g, "cyrus", "Cyrus IMAP", true),
	)
	makeGroup(cmd)
	return cmd
}

func newImportFilesCommand(g *globals, kind, title, what string) *cobra.Command {
	opts := importOptions{req: control.ImportRequest{Kind: kind}}
	cmd := &cobra.Command{
		Use:   kind + " {PATH --account ACCOUNT | --accounts FILE}",
		Short: "Copy an account from " + title,
		Long: "Copy an account from " + what + `.
The path is one of the server's machine, whose user has to be able to read it.

With --accounts each line of the file is "PATH,,ACCOUNT[,NEW PASSWORD]".`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, list []string) error { return runImport(cmd.Context(), g, opts, list) },
	}
	opts.flags(cmd)
	cmd.Flags().BoolVar(&opts.req.Keep, "keep-uids", kind == "archive", "keep UIDVALIDITY and UIDs, where the source has them")
	return cmd
}

func newImportServerCommand(g *globals, kind, title string, keep bool) *cobra.Command {
	opts := importOptions{req: control.ImportRequest{Kind: "imap"}}
	long := "Copy accounts from " + title + ` by IMAP, with folders, flags, dates, special uses and subscriptions.
The password is asked for, or read from standard input with --password-stdin.

With --accounts each line of the file is "USER,PASSWORD,ACCOUNT[,NEW PASSWORD]".
With --auth-user the password is that of an administrator or master user, who
logs in for all accounts; their passwords may be empty in the file then.`
	if keep {
		long += `

UIDVALIDITY, UIDs, UIDNEXT and HIGHESTMODSEQ are kept where the account had no mail
before: clients with a cache notice nothing.`
	}
	cmd := &cobra.Command{
		Use:   kind + " {HOST[:PORT] --account ACCOUNT | HOST[:PORT] --accounts FILE}",
		Short: "Copy accounts from " + title,
		Long:  long,
		Args:  args(cobra.MaximumNArgs(1)),
		RunE:  func(cmd *cobra.Command, list []string) error { return runImport(cmd.Context(), g, opts, list) },
	}
	opts.flags(cmd)
	passwordFlag(cmd, &opts.passwordStdin)
	f := cmd.Flags()
	f.StringVar(&opts.user, "user", "", "user there (default the name of the account)")
	f.StringVar(&opts.req.Server.AuthUser, "auth-user", "", "administrator or master user who logs in for the accounts")
	f.StringVar(&opts.req.Server.TLS, "tls", "tls", "protection of the connection: tls, starttls, none")
	f.BoolVar(&opts.req.Server.Insecure, "insecure", false, "do not verify the server's certificate")
	f.BoolVar(&opts.req.Server.OAuth, "oauth", false, "passwords are access tokens (OAUTHBEARER, XOAUTH2)")
	f.BoolVar(&opts.req.Keep, "keep-uids", keep, "keep UIDVALIDITY and UIDs")
	if kind == "dovecot" {
		f.StringVar(&opts.maildir, "maildir", "", "read this Maildir of Dovecot instead of a server")
	}
	return cmd
}

// flags adds those that every import has.
func (o *importOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.account, "account", "", "account to copy into")
	f.StringVar(&o.accounts, "accounts", "", `file with an account a line ("-" is standard input)`)
	f.BoolVar(&o.req.Create, "create", false, "make accounts that are not there")
	f.StringSliceVar(&o.req.Include, "include", nil, "these folders only: * is anything, % anything within a level")
	f.StringSliceVar(&o.req.Exclude, "exclude", nil, "not these folders")
	f.StringVar(&o.req.Into, "into", "", "put all folders below this mailbox")
	f.BoolVar(&o.req.SkipVirtual, "skip-virtual", false, `leave out folders that show mail of others (\All, \Flagged, \Important)`)
	f.BoolVar(&o.req.NoFlags, "no-flags", false, "leave flags of messages alone that were copied before")
	f.BoolVar(&o.req.Delete, "delete", false, "expunge messages that were copied before and are no more at the source")
	f.BoolVar(&o.req.DryRun, "dry-run", false, "only say what would be done")
	f.StringVar(&o.rate, "rate", "", "bytes of messages a second, as 500k or 10M (default no limit)")
	f.IntVar(&o.req.Parallel, "parallel", 4, "accounts at a time")
}

func runImport(ctx context.Context, g *globals, opts importOptions, list []string) error {
	if err := opts.settle(ctx, g, list); err != nil {
		return err
	}
	return g.connect(ctx, !opts.req.DryRun, func(c *control.Client, m *meter) error {
		return g.transfer(m, "import", func(each func(control.Transferred) error) (control.TransferResult, error) {
			return c.Import(ctx, opts.req, each, m.show)
		})
	})
}

// settle makes the request of the command line.
func (o *importOptions) settle(ctx context.Context, g *globals, list []string) error {
	if o.maildir != "" {
		if len(list) > 0 || o.accounts != "" {
			return usagef("--maildir names one account's mail: no server and no --accounts go with it")
		}
		o.req.Kind, o.req.Server, list = "maildir", control.ImportServer{}, []string{o.maildir}
	}
	var err error
	if o.req.BytesPerSecond, err = parseRate(o.rate); err != nil {
		return err
	}
	if (o.account == "") == (o.accounts == "") {
		return usagef("name an account with --account, or a file of them with --accounts")
	}
	server := o.req.Kind == "imap"
	if (server || o.account != "") && len(list) == 0 {
		return usagef("name the %s", map[bool]string{true: "server", false: "path"}[server])
	}
	if !server && o.accounts != "" && len(list) > 0 {
		return usagef("the paths are in the file: %q goes without", list[0])
	}
	if server {
		o.req.Server.Address = withPort(list[0], o.req.Server.TLS)
	}
	if o.accounts != "" {
		if o.req.Accounts, err = g.readAccounts(o.accounts); err != nil {
			return err
		}
	} else {
		one := control.ImportAccount{Source: o.user, Account: o.account}
		if !server {
			one.Source = list[0]
		} else if one.Source == "" {
			one.Source = o.account
		}
		o.req.Accounts = []control.ImportAccount{one}
	}
	if server {
		return o.passwords(ctx, g)
	}
	for i := range o.req.Accounts {
		if o.req.Accounts[i].Source, err = filepath.Abs(o.req.Accounts[i].Source); err != nil {
			return usageError{err}
		}
	}
	return nil
}

// passwords asks for the password that is not in the file.
func (o *importOptions) passwords(ctx context.Context, g *globals) error {
	if o.req.Server.AuthUser == "" && o.accounts != "" {
		return nil
	}
	if o.accounts == "-" && o.passwordStdin {
		return usagef("standard input cannot be both the accounts and the password")
	}
	p, err := g.sourcePassword(ctx, o.passwordStdin)
	if err != nil {
		return err
	}
	if o.req.Server.AuthUser != "" {
		o.req.Server.Password = p
	} else {
		o.req.Accounts[0].Password = p
	}
	return nil
}

// withPort gives an address its port.
func withPort(address, protection string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	port := "993"
	if protection != "tls" {
		port = "143"
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), port)
}
