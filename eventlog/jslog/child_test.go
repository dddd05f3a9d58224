package jslog_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/eventlog/jslog"
	"angarium/eventlog/logtest"
)

// The environment of the test program when it runs as the child of a test.
const (
	childTask = "ANGARIUM_TEST_CHILD" // "append" or "limit"
	childDir  = "ANGARIUM_TEST_DIR"
	// crashRounds is how often TestKillLosesNothing kills; default 5.
	crashRounds = "ANGARIUM_CRASH_ROUNDS"
)

func TestMain(m *testing.M) {
	switch os.Getenv(childTask) {
	case "append":
		exit(appendForever(os.Getenv(childDir)))
	case "limit":
		exit(appendBeyondFileLimit(os.Getenv(childDir)))
	}
	os.Exit(m.Run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(t *testing.T, task, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(testContext(t), os.Args[0])
	cmd.Env = append(os.Environ(), childTask+"="+task, childDir+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// primary opens the log in dir, or makes it, and takes over.
func primary(ctx context.Context, dir string, opt eventlog.Options) (*jslog.Log, *eventlog.Writer, error) {
	e, err := jslog.StartEmbedded(ctx, jslog.EmbeddedOptions{Dir: dir, MinFreeBytes: -1})
	if err != nil {
		return nil, nil, err
	}
	c, err := e.Connect()
	if err != nil {
		return nil, nil, err
	}
	cfg := jslog.StreamConfig{Shard: shard}
	log, err := jslog.Open(ctx, c, cfg, eventlog.Mark{})
	if errors.Is(err, jslog.ErrMissing) {
		log, err = jslog.Create(ctx, c, cfg)
	}
	if err != nil {
		return nil, nil, err
	}
	state, err := eventlog.Fence(ctx, log, eventlog.State{}, "child")
	if err != nil {
		return nil, nil, err
	}
	return log, eventlog.NewWriter(log, state, opt), nil
}

// appendForever writes a line for every unit that is acknowledged: the position, the index and the name of its event.
func appendForever(dir string) error {
	ctx := context.Background()
	_, w, err := primary(ctx, dir, eventlog.Options{})
	if err != nil {
		return err
	}
	var out sync.Mutex
	failed := make(chan error)
	for i := range 8 {
		go func() {
			for k := 0; ; k++ {
				entry := logtest.Entry(1)
				set := entry.Event.(*event.SubscriptionSet)
				set.Name = fmt.Sprintf("%d/%d/%d", os.Getpid(), i, k)
				r, err := w.Append(ctx, entry)
				if err != nil {
					failed <- err
					return
				}
				out.Lock()
				fmt.Println(r.Position, r.FirstIndex, set.Name)
				out.Unlock()
			}
		}()
	}
	return <-failed
}

// TestKillLosesNothing kills a process while it appends, again and again, and looks for every unit that was acknowledged.
func TestKillLosesNothing(t *testing.T) {
	rounds := 5
	if s := os.Getenv(crashRounds); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	acked := map[string]eventlog.Receipt{}
	for round := range rounds {
		cmd := child(t, "append", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		readAcks(t, out, 200+37*round, acked, func() {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		})
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		wantAll(t, dir, acked)
	}
}

// readAcks calls kill after a number of lines and goes on to the end: what was written before the kill counts.
func readAcks(t *testing.T, out io.Reader, lines int, acked map[string]eventlog.Receipt, kill func()) {
	t.Helper()
	n := 0
	for scanner := bufio.NewScanner(out); scanner.Scan(); n++ {
		var r eventlog.Receipt
		var name string
		if _, err := fmt.Sscan(scanner.Text(), &r.Position, &r.FirstIndex, &name); err != nil {
			break // the line was cut off
		}
		acked[name] = r
		if n == lines {
			kill()
		}
	}
	if n < lines {
		t.Fatalf("the child ended after %d of %d lines", n, lines)
	}
}

func wantAll(t *testing.T, dir string, acked map[string]eventlog.Receipt) {
	t.Helper()
	e := startEmbedded(t, jslog.EmbeddedOptions{Dir: dir})
	defer e.Shutdown()
	c := connect(t, e)
	defer c.Close()
	log := open(t, c, eventlog.Mark{})
	defer log.Close()
	found := map[string]eventlog.Receipt{}
	for _, env := range readAll(t, log) {
		for i, entry := range env.Entries {
			if set, ok := entry.Event.(*event.SubscriptionSet); ok {
				found[set.Name] = eventlog.Receipt{Position: env.Position, FirstIndex: env.FirstIndex + uint64(i)}
			}
		}
	}
	for name, want := range acked {
		if found[name] != want {
			t.Errorf("%s was acknowledged at %+v, and is at %+v", name, want, found[name])
		}
	}
}

func readAll(t *testing.T, log eventlog.Log) []eventlog.Envelope {
	t.Helper()
	ctx := testContext(t)
	head, err := log.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	follower, err := eventlog.Follow(ctx, log, eventlog.State{})
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	var all []eventlog.Envelope
	for follower.State().Position < head.Last {
		env, err := follower.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, env)
	}
	return all
}

// TestStoreThatRefusesWritesIsRestarted lets writes fail in the middle of a record, by a limit on the size of files.
func TestStoreThatRefusesWritesIsRestarted(t *testing.T) {
	dir := t.TempDir()
	if err := child(t, "limit", dir).Run(); err != nil {
		t.Fatal(err)
	}
	e := startEmbedded(t, jslog.EmbeddedOptions{Dir: dir})
	log := open(t, connect(t, e), eventlog.Mark{})
	if got := len(readAll(t, log)); got != 4 {
		t.Errorf("%d envelopes, want 4", got)
	}
}

func appendBeyondFileLimit(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second)
	defer cancel()
	down := make(chan error, 16)
	_, w, err := primary(ctx, dir, eventlog.Options{
		AckTimeout: 500 * time.Millisecond,
		Hooks:      eventlog.Hooks{Down: func(cause error) { down <- cause }},
	})
	if err != nil {
		return err
	}
	if _, err := w.Append(ctx, logtest.Body(1, 50000)); err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	low := limit
	low.Cur = 80000
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &low); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() {
		_, err := w.Append(ctx, logtest.Body(2, 50000)) // torn: it does not fit below the limit
		failed <- err
	}()
	if cause := <-down; cause == nil {
		return errors.New("the log was never unavailable")
	}
	if _, err := w.Append(ctx, logtest.Body(3, 10)); !errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, eventlog.ErrUnknown) {
		return fmt.Errorf("append while the store refuses writes: %v, want ErrUnavailable", err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if err := <-failed; err != nil {
		return fmt.Errorf("append that waited for the store: %w", err)
	}
	if cause := <-down; cause != nil {
		return fmt.Errorf("the log is still unavailable: %w", cause)
	}
	_, err = w.Append(ctx, logtest.Body(4, 50000))
	return err
}
