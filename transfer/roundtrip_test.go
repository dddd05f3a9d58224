package transfer_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
	"angarium/transfer"
)

// picture is an account with all that a client can see of it.
type picture struct {
	Boxes map[string]pictured
	Subs  []string
}

type pictured struct {
	UIDValidity, UIDNext, Recent uint32
	Uses                         []string
	Messages                     []string
}

func pictureOf(t testing.TB, s *mailstore.Store, account string) picture {
	t.Helper()
	ctx := context.Background()
	p := picture{Boxes: map[string]pictured{}}
	rows, err := s.Mailboxes(ctx, admin, account)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		row, lines := look(t, s, account, r.Name)
		p.Boxes[r.Name] = pictured{row.UIDValidity, row.UIDNext, row.RecentUID, slices.Sorted(slices.Values(row.SpecialUse)), lines}
	}
	if p.Subs, err = s.Subscriptions(ctx, admin, account); err != nil {
		t.Fatal(err)
	}
	return p
}

// fill makes a random account. Names, keywords and bodies are those that all forms of an export can have.
func fill(t *rapid.T, s *mailstore.Store, account string) {
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "a/b", "Entwürfe", "x & y", "INBOX/sub"}), 0, 4, rapid.ID[string]).Draw(t, "names")
	for i, n := range names {
		var uses []string
		if i == 0 {
			uses = []string{`\Archive`}
		}
		_, err := s.CreateMailbox(ctx, admin, account, mailstore.NewMailbox{Name: n, SpecialUse: uses, Subscribe: rapid.Bool().Draw(t, "subscribe")})
		must(err)
	}
	flag := rapid.SampledFrom([]string{`\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`, "$Forwarded", "Work", "$Junk", "later"})
	for _, n := range append(names, "INBOX") {
		count := rapid.IntRange(1, 6).Draw(t, "messages")
		for range count {
			text := rapid.SampledFrom([]string{
				"From me\r\n", ">From me\r\n", "hello\r\n", "", "\r\n\r\nFrom x\r\n", strings.Repeat("long ", 40_000) + "\r\n",
			}).Draw(t, "text")
			body, err := s.Prepare([]byte(fmt.Sprintf("Subject: %s\r\n\r\n%s", rapid.StringMatching("[a-z]{3}").Draw(t, "subject"), text)))
			must(err)
			_, err = s.Append(ctx, admin, account, n, []mailstore.NewMessage{{
				Body: body, Flags: rapid.SliceOfNDistinct(flag, 0, 4, rapid.ID[string]).Draw(t, "flags"),
				InternalDate: time.Unix(rapid.Int64Range(1, 2_000_000_000).Draw(t, "date"), 0),
			}})
			must(err)
		}
		b, err := s.Open(ctx, admin, account, n, false)
		must(err)
		b.TakeRecent(b.Snapshot()) // in an import a message is \Recent or not; none lies between others
		must(b.KeepRecent(ctx))
		gone := event.UIDsOf(uint32(rapid.IntRange(2, count+1).Draw(t, "expunged")))
		_, err = b.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: gone, Op: mailstore.AddFlags, Flags: []string{`\Deleted`}})
		must(err)
		_, _, err = b.Expunge(ctx, gone)
		must(err)
		b.Close()
	}
}

// roundTrips bounds the accounts that go out and come back in each form: every message is a file that is synced.
const roundTrips = 10

func TestWhatIsExportedComesBack(t *testing.T) {
	for _, format := range []string{transfer.FormatArchive, transfer.FormatMaildir, transfer.FormatMbox} {
		t.Run(format, func(t *testing.T) {
			env, n := newStore(t), 0
			rapid.Check(t, func(rt *rapid.T) {
				if n++; n > roundTrips {
					return
				}
				from, to := fmt.Sprintf("from%d", n), fmt.Sprintf("to%d", n)
				env.Account(t, from)
				env.Account(t, to)
				fill(rt, env.Store, from)
				dir, err := os.MkdirTemp(t.TempDir(), "")
				if err != nil {
					rt.Fatal(err)
				}
				want := pictureOf(t, env.Store, from)
				export(rt, env, from, format, dir)
				export(rt, env, from, format, dir) // over the first
				rep := comeBack(t, env, to, format, dir)
				if rep.Failed > 0 || len(rep.Problems) > 0 {
					rt.Fatalf("%+v", rep)
				}
				got := pictureOf(t, env.Store, to)
				if format == transfer.FormatMbox { // an empty file has no place for numbers
					for _, p := range []picture{want, got} {
						for name, b := range p.Boxes {
							if len(b.Messages) == 0 {
								b.UIDValidity, b.UIDNext, b.Recent = 0, 0, 0
								p.Boxes[name] = b
							}
						}
					}
				}
				for _, p := range []picture{want, got} { // what is expunged cannot have been told as \Recent
					for name, b := range p.Boxes {
						if len(b.Messages) > 0 {
							fmt.Sscan(b.Messages[len(b.Messages)-1], &b.Recent)
						} else {
							b.Recent = 0
						}
						p.Boxes[name] = b
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					rt.Fatalf("(-exported +imported)\n%s", diff)
				}
			})
		})
	}
}

func export(t interface{ Fatal(...any) }, env *storetest.Env, account, format, dir string) {
	if _, err := transfer.Export(context.Background(), env.Store, admin, transfer.ExportOptions{Account: account, Format: format, Dir: dir}); err != nil {
		t.Fatal(err)
	}
}

func comeBack(t testing.TB, env *storetest.Env, account, format, dir string) *transfer.Report {
	t.Helper()
	var src transfer.Source
	var err error
	switch format {
	case transfer.FormatMaildir:
		src, err = transfer.OpenMaildir(dir, 1<<20)
	case transfer.FormatMbox:
		src, err = transfer.OpenMbox(dir, 1<<20)
	default:
		src, err = transfer.OpenArchive(dir, 1<<20)
	}
	if err != nil {
		t.Fatal(err)
	}
	return run(t, env.Store, src, transfer.Options{Account: account, Ledgers: t.TempDir(), Source: dir, Keep: true})
}

func TestADamagedMessageOfAnArchiveIsNotTakenForGood(t *testing.T) {
	from, to := newStore(t), newStore(t)
	from.Append(t, "ann", "INBOX", "Subject: a\r\n\r\n")
	from.Append(t, "ann", "INBOX", "Subject: b\r\n\r\n")
	dir := t.TempDir()
	export(t, from, "ann", transfer.FormatArchive, dir)
	files, err := filepath.Glob(filepath.Join(dir, "messages", "*", "*.eml"))
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	write(t, "Subject: c\r\n\r\n", files[0])
	if rep := comeBack(t, to, "ann", transfer.FormatArchive, dir); rep.Failed != 1 || rep.Messages != 1 {
		t.Errorf("%+v", rep)
	}
	manifest := filepath.Join(dir, "manifest.jsonl")
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	write(t, string(text[:len(text)-20]), manifest)
	if _, err := transfer.OpenArchive(dir, 1<<20); err == nil {
		t.Error("a manifest without its end was taken")
	}
}
