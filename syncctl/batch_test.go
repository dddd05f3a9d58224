package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"angarium/internal/control"
)

// adder is a control API that adds accounts and keeps how many came at once.
type adder struct {
	batches []int
	names   []string
}

func (a *adder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req control.AddAccounts
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.batches = append(a.batches, len(req.Accounts))
	lines := json.NewEncoder(w)
	for _, n := range req.Accounts {
		a.names = append(a.names, n.Name)
		_ = lines.Encode(map[string]control.AccountResult{"item": {Name: n.Name, OK: true}})
	}
	_ = lines.Encode(map[string]struct{}{"done": {}})
}

// runBatch gives a batch to an adder and returns the exit code and both outputs.
func runBatch(t *testing.T, a *adder, in io.Reader, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	defer goleak.VerifyNone(t)
	var out, errs bytes.Buffer
	g := &globals{stdin: in, stdout: &out, stderr: &errs}
	g.offline = func(context.Context, string, string, bool, *slog.Logger) (http.Handler, io.Closer, error) {
		return a, cannedCloser{}, nil
	}
	code = run(t.Context(), g, append([]string{"account", "add", "--batch", "-", "--data", t.TempDir()}, args...))
	return code, out.String(), errs.String()
}

func TestBatchIsSentInPieces(t *testing.T) {
	var in strings.Builder
	for i := range 2*batchSize + 3 {
		fmt.Fprintf(&in, "user%d password%d\n", i, i)
	}
	a := &adder{}
	code, out, errs := runBatch(t, a, strings.NewReader(in.String()))
	if code != exitOK || out != fmt.Sprintf("%d accounts added, 0 failed\n", 2*batchSize+3) || errs != "" {
		t.Errorf("got %d, %q, %q", code, out, errs)
	}
	if diff := cmp.Diff([]int{batchSize, batchSize, 3}, a.batches); diff != "" {
		t.Error(diff)
	}
}

func TestBatchTakesHostileInput(t *testing.T) {
	in := "\ufeffann secret\r\n" + // as some editors write it
		"long " + strings.Repeat("x", 3*maxBatchLine) + "\n" +
		"longer " + strings.Repeat("x", maxPassword+1) + "\n" +
		"b\xffd secret\n" +
		"latin1 p\xe4ss\n" +
		"esc\x1b[m\n" +
		"zoe last" // without an end of line
	a := &adder{}
	code, out, errs := runBatch(t, a, strings.NewReader(in))
	if diff := cmp.Diff([]string{"ann", "zoe"}, a.names); diff != "" {
		t.Error(diff)
	}
	want := "line 2: the line is longer than 4096 bytes\n" +
		"line 3: longer: the password is longer than 1024 bytes\n" +
		"line 4: b�d: the name is not UTF-8\n" +
		"line 5: latin1: the password is not UTF-8\n" +
		"line 6: esc\\x1b[m: no password: want \"NAME PASSWORD\"\n" +
		"syncctl: 5 lines failed\n"
	if diff := cmp.Diff(want, errs); diff != "" {
		t.Error(diff)
	}
	if code != exitError || out != "2 accounts added, 5 failed\n" {
		t.Errorf("got %d, %q", code, out)
	}
}

// brokenReader fails after some text.
type brokenReader struct{ io.Reader }

func (b brokenReader) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil {
		err = errors.New("disk gone")
	}
	return n, err
}

func TestBatchThatCannotBeReadToItsEndFails(t *testing.T) {
	a := &adder{}
	code, out, errs := runBatch(t, a, brokenReader{strings.NewReader("ann x\nbob y\n")}, "--json")
	if code != exitError || out != `{"added":2,"skipped":0,"failed":0,"errors":[]}`+"\n" || !strings.Contains(errs, "read the batch: disk gone") {
		t.Errorf("got %d, %q, %q", code, out, errs)
	}
}

func FuzzBatchLine(f *testing.F) {
	f.Add([]byte("ann secret\n# c\n\nbob\tx y \r\n\xff \xff\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(in), maxBatchLine)
		for n := 0; ; n++ {
			text, _, err := readLine(r)
			if err != nil {
				if want := bytes.Count(in, []byte("\n")); n < want {
					t.Errorf("%d lines, want %d", n, want)
				}
				return
			}
			var l batchLine
			if l.parse(string(text)) && l.why == nil && (l.account.Name == "" || l.account.Password == "" || strings.ContainsAny(l.account.Name, " \t\n")) {
				t.Errorf("%q gives %+v", text, l.account)
			}
		}
	})
}
