package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"

	"angarium/internal/control"
)

// call makes a request of the control API and calls each for every JSON object of the answer.
func (s *server) call(ctx context.Context, method, path string, req any, each func(*json.Decoder) error) error {
	body, err := json.Marshal(req)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.data, control.SocketName))
		},
	}}
	hr, err := http.NewRequestWithContext(ctx, method, "http://control"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := client.Do(hr)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		text, err := io.ReadAll(answer.Body)
		return errors.Join(fmt.Errorf("%s: %s: %s", path, answer.Status, text), err)
	}
	for d := json.NewDecoder(answer.Body); d.More(); {
		if err := each(d); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// status gives the status of the only shard.
func (s *server) status(ctx context.Context) (control.ShardStatus, error) {
	var st control.Status
	err := s.call(ctx, http.MethodGet, control.PathStatus, nil, func(d *json.Decoder) error { return d.Decode(&st) })
	if err == nil && len(st.Shards) == 0 {
		err = errors.New("status tells of no shards")
	}
	if err != nil {
		return control.ShardStatus{}, err
	}
	all := st.Shards[0]
	for _, one := range st.Shards[1:] {
		all.Digest += " " + one.Digest
		all.Messages += one.Messages
		all.Mailboxes += one.Mailboxes
	}
	return all, nil
}

// addAccounts makes accounts, all with the same password.
func (s *server) addAccounts(ctx context.Context, names []string) error {
	var req control.AddAccounts
	for _, n := range names {
		req.Accounts = append(req.Accounts, control.NewAccount{Name: n, Password: password})
	}
	made := 0
	_, err := s.long(ctx, control.PathAccounts, req, func(item json.RawMessage) error {
		var res control.AccountResult
		err := json.Unmarshal(item, &res)
		if err == nil && !res.OK {
			err = fmt.Errorf("add %s: %w", res.Name, res.Error)
		}
		made++
		return err
	})
	if err == nil && made != len(names) {
		err = fmt.Errorf("%d accounts were made of %d", made, len(names))
	}
	return err
}

// verify has the running server verify its store.
func (s *server) verify(ctx context.Context) error {
	violations := ""
	done, err := s.long(ctx, control.PathVerify, control.VerifyRequest{Deep: true}, func(item json.RawMessage) error {
		violations += "\n" + string(item)
		return nil
	})
	if err != nil {
		return err
	}
	var res control.VerifyResult
	if err := json.Unmarshal(done, &res); err != nil {
		return err
	}
	if !res.OK || violations != "" {
		return fmt.Errorf("verify found %d violations:%s", res.Violations, violations)
	}
	return nil
}

// long makes a request that is answered with many lines, and gives the last one.
func (s *server) long(ctx context.Context, path string, req any, item func(json.RawMessage) error) (done json.RawMessage, err error) {
	err = s.call(ctx, http.MethodPost, path, req, func(d *json.Decoder) error {
		var u control.Update
		if err := d.Decode(&u); err != nil {
			return err
		}
		if u.Error != nil {
			return u.Error
		}
		if u.Done != nil {
			done = u.Done
		}
		if u.Item != nil {
			return item(u.Item)
		}
		return nil
	})
	if err == nil && done == nil {
		err = fmt.Errorf("%s: the answer breaks off", path)
	}
	return done, err
}

// verifyOffline has the operator's tool verify a store that no server has open.
func verifyOffline(ctx context.Context, bin, data string) error {
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "syncctl"), "--data", data, "verify", "--deep", "--json").CombinedOutput()
	if err != nil {
		return fmt.Errorf("syncctl verify: %w\n%s", err, out)
	}
	var res control.VerifyResult
	if err := json.Unmarshal(out, &res); err != nil || !res.OK {
		return fmt.Errorf("syncctl verify: %w\n%s", errors.Join(err, errViolations), out)
	}
	return nil
}

var errViolations = errors.New("the store is not in order")
