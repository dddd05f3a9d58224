package lmtpd_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"angarium/lmtpd"
	"angarium/mailstore"
	"angarium/mailstore/storetest"
)

// nullStore takes everything at once.
type nullStore struct{ body mailstore.Body }

func (n *nullStore) Recipient(context.Context, string) error { return nil }

func (n *nullStore) Prepare([]byte) (*mailstore.Body, error) { return &n.body, nil }

func (n *nullStore) Deliver(_ context.Context, _ mailstore.Identity, _ *mailstore.Body, to []mailstore.Recipient) []mailstore.Delivered {
	return make([]mailstore.Delivered, len(to))
}

// message38K has 38 KiB in lines of 72 octets.
var message38K = strings.Repeat(strings.Repeat("x", 70)+"\r\n", 38*1024/72)

// BenchmarkDelivery sends 38 KiB messages, one after the other on a connection.
func BenchmarkDelivery(b *testing.B) {
	b.Run("protocol", func(b *testing.B) { benchmarkDelivery(b, &nullStore{}, 1) })
	b.Run("protocol-8", func(b *testing.B) { benchmarkDelivery(b, &nullStore{}, 8) })
	b.Run("store", func(b *testing.B) {
		env := storetest.New(b, 1, mailstore.Options{})
		env.Account(b, "ann@example.org")
		benchmarkDelivery(b, env.Store, 1)
	})
}

func benchmarkDelivery(b *testing.B, store lmtpd.Store, conns int) {
	addr := startReal(b, store)
	b.SetBytes(int64(len(message38K)))
	b.ReportAllocs()
	work := make(chan struct{})
	done := make(chan error, conns)
	for range conns {
		go func() { done <- deliverAll(addr, work) }()
	}
	b.ResetTimer()
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	for range conns {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}

// deliverAll delivers a message for each piece of work.
func deliverAll(addr string, work <-chan struct{}) error {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	r := bufio.NewReader(nc)
	answers := func(n int) error {
		for n > 0 {
			line, err := r.ReadString('\n')
			if err != nil {
				return err
			}
			if line[0] == '4' || line[0] == '5' {
				return io.ErrUnexpectedEOF
			}
			if line[3] == ' ' {
				n--
			}
		}
		return nil
	}
	if _, err := io.WriteString(nc, "LHLO x\r\n"); err != nil {
		return err
	}
	if err := answers(2); err != nil {
		return err
	}
	data := message38K + ".\r\n"
	for range work {
		if _, err := io.WriteString(nc, "MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n"); err != nil {
			return err
		}
		if err := answers(3); err != nil {
			return err
		}
		if _, err := io.WriteString(nc, data); err != nil {
			return err
		}
		if err := answers(1); err != nil {
			return err
		}
	}
	return nil
}
