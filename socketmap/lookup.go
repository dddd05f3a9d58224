package socketmap

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"angarium/lmtpd/address"
	"angarium/mailstore"
)

// What an answer begins with.
const (
	statusOK       = "OK"
	statusNotFound = "NOTFOUND"
	statusTemp     = "TEMP"
	statusPerm     = "PERM"
)

// serve answers the requests of a connection.
func (s *Server) serve(nc net.Conn) {
	defer nc.Close()
	r := bufio.NewReaderSize(nc, 512)
	var answers []byte
	for {
		if err := nc.SetDeadline(time.Now().Add(s.opts.Timeout)); err != nil {
			return
		}
		request, err := readNetstring(r, s.opts.MaxRequest)
		if err != nil {
			s.giveUp(nc, answers, err)
			return
		}
		status, text := s.lookup(request)
		if s.opts.Answered != nil {
			s.opts.Answered(status)
		}
		answers = appendNetstring(answers, status, text)
		if r.Buffered() > 0 && len(answers) < s.opts.MaxRequest {
			continue // a pipeline is answered with one write
		}
		if _, err := nc.Write(answers); err != nil {
			return
		}
		answers = answers[:0]
	}
}

// giveUp ends a connection whose next request can't be read, after the answers that are due.
func (s *Server) giveUp(nc net.Conn, answers []byte, err error) {
	if errors.Is(err, errNetstring) || errors.Is(err, errTooLong) {
		s.opts.Logger.Warn("socketmap request refused", "client", nc.RemoteAddr().String(), "err", err)
		answers = appendNetstring(answers, statusPerm, err.Error())
	}
	if len(answers) > 0 {
		_, _ = nc.Write(answers) // the connection ends either way
	}
	if !errors.Is(err, io.EOF) {
		s.opts.Logger.Debug("socketmap connection ended", "client", nc.RemoteAddr().String(), "err", err)
	}
}

// lookup answers "<map> <key>".
func (s *Server) lookup(request []byte) (status, text string) {
	name, key, ok := strings.Cut(string(request), " ")
	switch {
	case !ok || name == "":
		return statusPerm, "want a map and a key"
	case len(s.opts.Maps) > 0 && !slices.Contains(s.opts.Maps, name):
		return statusPerm, "no such map"
	}
	mbox, err := address.Key(key)
	if err != nil {
		return statusNotFound, "" // such as "@example.org", which Postfix asks for too
	}
	to, err := s.opts.Resolver.Resolve(mbox)
	if err != nil {
		return statusNotFound, ""
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.opts.LookupTimeout)
	defer cancel()
	switch err := s.opts.Store.Recipient(ctx, to.Account); {
	case errors.Is(err, mailstore.ErrNoAccount):
		return statusNotFound, ""
	case err != nil:
		s.opts.Logger.Error("cannot look up a recipient", "account", to.Account, "err", err)
		return statusTemp, "try again later"
	}
	return statusOK, key
}
