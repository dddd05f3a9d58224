package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/spf13/cobra"

	"angarium/internal/config"
	"angarium/mailstore"
)

const (
	demoAccount  = "demo@localhost"
	demoPassword = "demo"
)

func newDemoCommand() *cobra.Command {
	var dir string
	var replica bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Serve a store with a demo account and some mail",
		Long: `Demo makes a store with the account demo@localhost (password demo), delivers a few messages to it by LMTP, and serves it on
free loopback ports until it is interrupted. Without --data the store lies in a temporary directory that is removed
at the end. The TLS certificate is self-signed.

With --replica it serves two nodes, of which one follows the other, and shows a delivery that is seen on both and a promotion.
` + exitHelp,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), dir, replica, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&replica, "replica", false, "two nodes, one of them a replica")
	cmd.Flags().StringVar(&dir, "data", "", "data directory [a temporary one]")
	return cmd
}

func runDemo(ctx context.Context, dir string, replica bool, out io.Writer) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "angarium-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	stopping, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if replica {
		return runDemoReplica(stopping, dir, out)
	}
	cfg := demoConfig(filepath.Join(dir, "store"), "demo")
	if err := demoCertificate(&cfg, dir); err != nil {
		return err
	}
	return runServe(stopping, cfg, func(s *server) error {
		if err := demoFill(ctx, s); err != nil {
			return err
		}
		_, err := fmt.Fprint(out, demoHelp(s, cfg.Server.DataDir))
		return err
	})
}

// demoConfig serves a data directory on free loopback ports.
func demoConfig(data, node string) config.Config {
	cfg := config.Default()
	cfg.Server.DataDir, cfg.Server.DefaultDomain, cfg.Server.Node = data, "localhost", node
	cfg.IMAP.Listen, cfg.IMAP.ListenTLS = []string{"127.0.0.1:0"}, []string{"127.0.0.1:0"}
	cfg.LMTP.Listen, cfg.HTTP.Listen = []string{"127.0.0.1:0"}, []string{"127.0.0.1:0"}
	cfg.Logging.Level = "warn"
	return cfg
}

// demoCertificate makes a self-signed certificate beside the store.
func demoCertificate(cfg *config.Config, dir string) error {
	cfg.TLS.Cert, cfg.TLS.Key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := os.Stat(cfg.TLS.Cert); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make demo directory: %w", err)
	}
	return config.WriteSelfSigned(cfg.TLS.Cert, cfg.TLS.Key, "localhost", "127.0.0.1")
}

// demoFill makes the account and delivers its mail, unless it is there.
func demoFill(ctx context.Context, s *server) error {
	account, err := s.node.AddAccount(ctx, demoAccount, demoPassword)
	if errors.Is(err, mailstore.ErrAccountExists) {
		return nil
	}
	if err != nil {
		return err
	}
	admin := mailstore.Identity{Service: "demo", Admin: true}
	for name, use := range map[string]string{"Drafts": `\Drafts`, "Sent": `\Sent`, "Trash": `\Trash`, "Junk": `\Junk`, "Lists": ""} {
		m := mailstore.NewMailbox{Name: name, Subscribe: true}
		if use != "" {
			m.SpecialUse = []string{use}
		}
		if _, err := s.node.Store().CreateMailbox(ctx, admin, account, m); err != nil {
			return err
		}
	}
	conn, err := net.Dial("tcp", s.addrs["lmtp"].String())
	if err != nil {
		return fmt.Errorf("deliver demo mail: %w", err)
	}
	c := smtp.NewClientLMTP(conn)
	defer c.Close()
	for i, m := range demoMail {
		if err := demoDeliver(c, m, time.Now().Add(time.Duration(i-len(demoMail))*time.Hour)); err != nil {
			return fmt.Errorf("deliver demo mail: %w", err)
		}
	}
	return c.Quit()
}

// demoMessage is one message of the demo.
type demoMessage struct{ from, to, subject, body string }

var demoMail = []demoMessage{
	{"Post Office <postmaster@localhost>", demoAccount, "Welcome to Angarium", "This message came by LMTP. Before it was acknowledged, it was an event on disk\nin the log; what you see is a replica of that log.\n\nDelete the replica (shard-0 in the data directory) while no server runs, start\nagain, and this message comes back with its UID and its flags.\n"},
	{"Mandane <mandane@pasargadae.example>", demoAccount, "The road to Sardis", "Dear friend,\n\nthe relay stations between Susa and Sardis are manned again. A rider takes nine\ndays now, and no letter has been lost since spring.\n\nMandane\n"},
	{"Harpagus <harpagus@ecbatana.example>", demoAccount, "Re: The road to Sardis", "Nine days! On foot it is ninety.\n\n> A rider takes nine days now\n\nNeither snow nor rain nor heat nor gloom of night, then.\n"},
	{"imap-protocol list <list@lists.example>", "demo+Lists@localhost", "[imap] QRESYNC in practice", "A client that comes back after a week asks for what has changed and what has\nvanished, and gets just that. This one was delivered into the mailbox Lists,\nbecause it was sent to demo+Lists@localhost.\n"},
	{"Müller, Jürgen <juergen@example.net>", demoAccount, "Grüße aus Köln", "Schöne Grüße vom Rhein! Umlaute und Emoji 📬 gehen auch.\n"},
}

func demoDeliver(c *smtp.Client, m demoMessage, date time.Time) error {
	text := fmt.Sprintf("From: %s\nTo: Demo <%s>\nSubject: %s\nDate: %s\nMessage-ID: <%d@demo.example>\nMIME-Version: 1.0\n"+
		"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n%s",
		mimeName(m.from), demoAccount, mimeWords(m.subject), date.Format(time.RFC1123Z), date.UnixNano(), m.body)
	return c.SendMail("sender@example.com", []string{m.to}, strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n")))
}

func demoHelp(s *server, data string) string {
	_, imap, _ := net.SplitHostPort(s.addrs["imap"].String())
	_, imaps, _ := net.SplitHostPort(s.addrs["imaps"].String())
	_, lmtp, _ := net.SplitHostPort(s.addrs["lmtp"].String())
	return fmt.Sprintf(`Angarium serves a demo store. Log in as %[1]s with the password %[2]s:

  IMAP  127.0.0.1:%[3]s     IMAPS 127.0.0.1:%[4]s (self-signed)
  LMTP  127.0.0.1:%[5]s     HTTP  %[6]s (/readyz, /metrics)

Read the newest message:
  curl -s --user %[1]s:%[2]s 'imap://127.0.0.1:%[3]s/INBOX;MAILINDEX=*'
List the mailboxes:
  curl -s --user %[1]s:%[2]s imap://127.0.0.1:%[3]s/
See the log of what happened:
  bin/syncctl --data %[7]s log show
  bin/syncctl --data %[7]s status

Stop with Ctrl-C.
`, demoAccount, demoPassword, imap, imaps, lmtp, s.addrs["http"], data)
}

// mimeName encodes the display name of an address (RFC 2047).
func mimeName(from string) string {
	at := strings.LastIndex(from, " <")
	if at < 0 {
		return from
	}
	name := from[:at]
	if encoded := mimeWords(name); encoded != name {
		return encoded + from[at:]
	}
	return `"` + name + `"` + from[at:]
}

func mimeWords(s string) string { return mime.QEncoding.Encode("utf-8", s) }
