package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The headers of a webhook request.
const (
	// HeaderSignature is "t=SECONDS,v1=HEX": when the request was made, and the HMAC-SHA256 under the shared secret of the decimal seconds, a
	// "." and the body.
	HeaderSignature = "Angarium-Signature"
	// HeaderFirst and HeaderLast are the ids of the first and the last event of the batch. A batch that is sent again has the same.
	HeaderFirst = "Angarium-First"
	HeaderLast  = "Angarium-Last"
)

const (
	defaultWebhookTimeout = 30 * time.Second
	maxAnswerBytes        = 4 << 10 // of an answer that are read
	minSecretBytes        = 16
)

// WebhookOptions configures a webhook. Zero values mean the defaults named here.
type WebhookOptions struct {
	URL     string            // http or https
	Secret  []byte            // shared with the receiver, at least 16 bytes
	Timeout time.Duration     // of one request [30s]
	Header  map[string]string // further headers, as Authorization
	Client  *http.Client      // [one of its own, which follows no redirects]
}

// Webhook is a Target that posts batches of events to a URL as {"events":[…]}.
type Webhook struct {
	opts WebhookOptions
	now  func() time.Time
}

// NewWebhook makes the target.
func NewWebhook(opts WebhookOptions) (*Webhook, error) {
	u, err := url.Parse(opts.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("webhook %q: want an http or https URL", opts.URL)
	}
	if len(opts.Secret) < minSecretBytes {
		return nil, fmt.Errorf("webhook %s: the secret has %d bytes: want at least %d", u.Redacted(), len(opts.Secret), minSecretBytes)
	}
	if opts.Timeout <= 0 {
		opts.Timeout = defaultWebhookTimeout
	}
	if opts.Client == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxConnsPerHost = 1 // one batch after the other
		opts.Client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return &Webhook{opts: opts, now: time.Now}, nil
}

// Kind implements Target.
func (w *Webhook) Kind() string { return "webhook" }

// Deliver implements Target: any answer of 200 to 299 takes the events.
func (w *Webhook) Deliver(ctx context.Context, events []*Event) error {
	ctx, cancel := context.WithTimeout(ctx, w.opts.Timeout)
	defer cancel()
	body := webhookBody(events)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.opts.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	for k, v := range w.opts.Header {
		req.Header.Set(k, v)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "angarium")
	req.Header.Set(HeaderFirst, events[0].ID())
	req.Header.Set(HeaderLast, events[len(events)-1].ID())
	req.Header.Set(HeaderSignature, Sign(w.opts.Secret, body, w.now()))
	resp, err := w.opts.Client.Do(req)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	err = errors.Join(err, resp.Body.Close())
	if resp.StatusCode/100 == 2 {
		return nil // what else it says is of no interest
	}
	text, _ := clip(strings.TrimSpace(string(answer)), maxShortText)
	cause := fmt.Errorf("webhook: %s: %s", resp.Status, text)
	switch {
	case resp.StatusCode == http.StatusRequestTimeout, resp.StatusCode == http.StatusTooEarly, resp.StatusCode == http.StatusTooManyRequests,
		resp.StatusCode >= 500, err != nil:
		return cause
	}
	return fmt.Errorf("%w: %w", ErrRefused, cause)
}

func webhookBody(events []*Event) []byte {
	size := 16
	for _, e := range events {
		size += len(e.JSON()) + 1
	}
	body := append(make([]byte, 0, size), `{"events":[`...)
	for i, e := range events {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, e.JSON()...)
	}
	return append(body, "]}"...)
}

// Resume implements Target.
func (w *Webhook) Resume(int64) error { return nil }

// Mark implements Target.
func (w *Webhook) Mark() (int64, error) { return 0, nil }

// Close implements Target.
func (w *Webhook) Close() error {
	w.opts.Client.CloseIdleConnections()
	return nil
}

// Sign gives the value of HeaderSignature for a body.
func Sign(secret, body []byte, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	return "t=" + t + ",v1=" + hex.EncodeToString(signature(secret, body, t))
}

func signature(secret, body []byte, seconds string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(seconds))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return mac.Sum(nil)
}

// ErrSignature says that a request does not come from who has the secret, or is too old.
var ErrSignature = errors.New("bad signature")

// VerifySignature is for receivers: it checks the value of HeaderSignature, and that the request is at most maxAge old.
func VerifySignature(secret []byte, header string, body []byte, now time.Time, maxAge time.Duration) error {
	t, mac, ok := strings.Cut(header, ",v1=")
	t, isTime := strings.CutPrefix(t, "t=")
	seconds, err := strconv.ParseInt(t, 10, 64)
	given, err2 := hex.DecodeString(mac)
	if !ok || !isTime || err != nil || err2 != nil || !hmac.Equal(given, signature(secret, body, t)) {
		return ErrSignature
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > maxAge || age < -maxAge {
		return fmt.Errorf("%w: it is %s old", ErrSignature, age)
	}
	return nil
}
