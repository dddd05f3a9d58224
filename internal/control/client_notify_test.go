package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryMethodOfNotificationAsksForItsPath(t *testing.T) {
	for want, call := range map[string]func(ctx context.Context, c *Client) error{
		"GET /v1/notify ": func(ctx context.Context, c *Client) error { _, err := c.Notify(ctx); return err },
		`POST /v1/watch {"since":"0:7:1","accounts":["ann"],"events":["MessageNew"],"groups":["message"],"once":true}`: func(ctx context.Context, c *Client) error {
			req := WatchRequest{Since: "0:7:1", Accounts: []string{"ann"}, Events: []string{"MessageNew"}, Groups: []string{"message"}, Once: true}
			return c.Watch(ctx, req, nil)
		},
		"GET /v1/consumers ": func(ctx context.Context, c *Client) error { _, err := c.Consumers(ctx); return err },
		`POST /v1/consumers {"name":"push","account":"ann"}`: func(ctx context.Context, c *Client) error {
			_, err := c.AddConsumer(ctx, NewConsumer{Name: "push", Account: "ann"})
			return err
		},
		"DELETE /v1/consumers/pu%2Esh ": func(ctx context.Context, c *Client) error { return c.RemoveConsumer(ctx, "pu.sh") },
	} {
		got := make(chan string, 1)
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got <- r.Method + " " + r.URL.RequestURI() + " " + string(body)
			_, _ = io.WriteString(w, `{"done":{}}`)
		})
		eachTransport(t, h, func(t *testing.T, ctx context.Context, c *Client) {
			if err := call(ctx, c); err != nil {
				t.Errorf("%s: %v", want, err)
			}
			if diff := cmp.Diff(want, <-got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnswersOfNotificationComeWhole(t *testing.T) {
	mux := http.NewServeMux()
	for pattern, body := range map[string]string{
		"GET " + PathNotify:     `{"address":"127.0.0.1:4222","sinks":[{"name":"hook","behind":3}]}`,
		"GET " + PathConsumers:  `{"consumers":[{"name":"push"}]}`,
		"POST " + PathConsumers: `{"name":"push","creds":"-----BEGIN\nEND\n"}`,
	} {
		mux.HandleFunc(pattern, respond(http.StatusOK, body))
	}
	eachTransport(t, mux, func(t *testing.T, ctx context.Context, c *Client) {
		st, err := c.Notify(ctx)
		if err != nil || st.Address != "127.0.0.1:4222" || len(st.Sinks) != 1 || st.Sinks[0].Behind != 3 {
			t.Errorf("Notify: got %+v, %v", st, err)
		}
		list, err := c.Consumers(ctx)
		if err != nil || len(list.Consumers) != 1 || list.Consumers[0].Name != "push" {
			t.Errorf("Consumers: got %+v, %v", list, err)
		}
		creds, err := c.AddConsumer(ctx, NewConsumer{Name: "push"})
		if err != nil || creds.Creds != "-----BEGIN\nEND\n" {
			t.Errorf("AddConsumer: got %+v, %v", creds, err)
		}
	})
}

func TestWatchingGivesEventsByteByByteUntilHistoryIsGone(t *testing.T) {
	first, second := `{"event":"MessageNew","vnd.cmu.midset":["<a&b>"],"modseq":18446744073709551615}`, `{"event":"Login"}`
	answer := `{"item":` + first + "}\n" + `{"item":` + second + "}\n" + `{"error":{"code":"history","message":"gone"}}` + "\n"
	eachTransport(t, respond(http.StatusOK, answer), func(t *testing.T, ctx context.Context, c *Client) {
		var got []WatchedEvent
		err := c.Watch(ctx, WatchRequest{}, func(e WatchedEvent) error { got = append(got, e); return nil })
		if told, ok := errors.AsType[*Error](err); !ok || told.Code != CodeHistory {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff([]WatchedEvent{json.RawMessage(first), json.RawMessage(second)}, got); diff != "" {
			t.Error(diff)
		}
		enough := errors.New("enough")
		if err := c.Watch(ctx, WatchRequest{}, func(WatchedEvent) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("got %v", err)
		}
	})
}
