package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// clockVariable names the file from which a node built by buildStepped takes how far its clock is off.
const clockVariable = "CHAOS_CLOCK"

// stepSource joins the standard library's package time in the programs that buildStepped makes. The file is mapped, so that a step is there at
// once, in each read of the wall clock; the monotonic clock goes on, as it does when a machine's clock is set.
const stepSource = `package time

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

var stepped = mapStep()

func mapStep() *int64 {
	name, ok := syscall.Getenv("` + clockVariable + `")
	if !ok {
		return nil
	}
	fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		panic("clock of the test: " + err.Error())
	}
	b, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic("clock of the test: " + err.Error())
	}
	return (*int64)(unsafe.Pointer(&b[0]))
}

func step(sec int64, nsec int32) (int64, int32) {
	if stepped == nil {
		return sec, nsec
	}
	all := sec*1e9 + int64(nsec) + atomic.LoadInt64(stepped)
	return all / 1e9, int32(all % 1e9)
}
`

// readNow is the line of time.Now that reads the clock.
const readNow = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"

// buildStepped builds a server whose wall clock can be set while it runs: of the same sources, with another package time. It gives the program.
func buildStepped(ctx context.Context, dir string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("build a server with another clock: %w", err)
	}
	pkg := filepath.Join(strings.TrimSpace(string(out)), "src", "time")
	source, err := os.ReadFile(filepath.Join(pkg, "time.go"))
	if err != nil {
		return "", fmt.Errorf("build a server with another clock: %w", err)
	}
	if strings.Count(string(source), readNow) != 1 {
		return "", errors.New("build a server with another clock: this version of Go reads the clock in another way; see buildStepped")
	}
	source = []byte(strings.Replace(string(source), readNow, readNow+"\tsec, nsec = step(sec, nsec)\n", 1))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	files := map[string]string{"time.go": string(source), "step.go": stepSource}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for name, text := range files {
		file := filepath.Join(dir, "stepped-"+name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return "", err
		}
		overlay.Replace[filepath.Join(pkg, name)] = file
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	file, program := filepath.Join(dir, "stepped.json"), filepath.Join(dir, "angarium-stepped")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		return "", err
	}
	if out, err := exec.CommandContext(ctx, "go", "build", "-overlay", file, "-o", program, "angarium/cmd/angarium").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build a server with another clock: %w\n%s", err, out)
	}
	return program, nil
}

// setClock sets how far the node's wall clock is off, at once and for its lives to come.
func (n *node) setClock(off time.Duration) error {
	f, err := os.OpenFile(n.data+".clock", os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(off)), 0) // eight bytes of a page: whoever reads has the old or the new ones
	return errors.Join(err, f.Close())
}

// clockSteps are how far clocks are set off.
func clockSteps() []time.Duration {
	return []time.Duration{
		-400 * 24 * time.Hour, -24 * time.Hour, -time.Hour, -time.Minute, -time.Second, time.Second, time.Minute, time.Hour, 24 * time.Hour, 400 * 24 * time.Hour,
	}
}
