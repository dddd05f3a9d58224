package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryMethodOfReplicationAsksForItsPath(t *testing.T) {
	ack, paused, shard := "replica", true, 1
	for want, call := range map[string]func(ctx context.Context, c *Client) error{
		"GET /v1/channels ": func(ctx context.Context, c *Client) error { _, err := c.Channels(ctx); return err },
		`POST /v1/channels {"name":"west","address":"192.0.2.1:4190"}`: func(ctx context.Context, c *Client) error {
			_, err := c.AddChannel(ctx, NewChannel{Name: "west", Address: "192.0.2.1:4190"})
			return err
		},
		`PATCH /v1/channels/west {"ack":"replica"}`: func(ctx context.Context, c *Client) error {
			return c.ChangeChannel(ctx, "west", ChangeChannel{Ack: &ack})
		},
		`PATCH /v1/channels/we%2Est {"paused":true}`: func(ctx context.Context, c *Client) error {
			return c.ChangeChannel(ctx, "we.st", ChangeChannel{Paused: &paused})
		},
		"DELETE /v1/channels/west ": func(ctx context.Context, c *Client) error { return c.RemoveChannel(ctx, "west") },
		"GET /v1/promote ":          func(ctx context.Context, c *Client) error { _, err := c.PromotionPlan(ctx); return err },
		`POST /v1/promote {"force":true}`: func(ctx context.Context, c *Client) error {
			_, err := c.Promote(ctx, PromoteRequest{Force: true}, nil)
			return err
		},
		`POST /v1/demote {"to":"west"}`: func(ctx context.Context, c *Client) error { return c.Demote(ctx, DemoteRequest{To: "west"}) },
		`POST /v1/resync {"from":"west","shard":1}`: func(ctx context.Context, c *Client) error {
			_, err := c.Resync(ctx, ResyncRequest{From: "west", Shard: &shard}, nil)
			return err
		},
		`POST /v1/resync {}`: func(ctx context.Context, c *Client) error {
			_, err := c.Resync(ctx, ResyncRequest{}, nil)
			return err
		},
		`POST /v1/compare {"node":"west","account":"ann","deep":true}`: func(ctx context.Context, c *Client) error {
			_, err := c.Compare(ctx, CompareRequest{Node: "west", Account: "ann", Deep: true}, nil, nil)
			return err
		},
		`POST /v1/diff {"node":"west","account":"ann"}`: func(ctx context.Context, c *Client) error {
			_, err := c.Diff(ctx, DiffRequest{Node: "west", Account: "ann"}, nil, nil)
			return err
		},
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

func TestAnswersOfReplicationComeWhole(t *testing.T) {
	mux := http.NewServeMux()
	for pattern, body := range map[string]string{
		"GET " + PathChannels:  `{"channels":[{"name":"west","shards":[{"direction":"send","lag_events":3}]}]}`,
		"POST " + PathChannels: `{"name":"west","token":"secret"}`,
		"GET " + PathPromote:   `{"node":"west","reached":true,"shards":[{"missing":2}]}`,
		"POST " + PathPromote:  "{\"progress\":{\"what\":\"starting\"}}\n{\"done\":{\"node\":\"west\",\"shards\":[{\"epoch\":5}]}}\n",
		"POST " + PathResync:   "{\"progress\":{\"what\":\"fetch\",\"done\":1}}\n{\"done\":{\"shards\":[{\"bytes\":7}]}}\n",
		"POST " + PathCompare:  "{\"item\":{\"mailbox\":\"INBOX\"}}\n{\"done\":{\"differences\":1}}\n",
		"POST " + PathDiff:     "{\"item\":{\"uid\":9}}\n{\"done\":{\"differences\":1}}\n",
	} {
		mux.HandleFunc(pattern, respond(http.StatusOK, body))
	}
	eachTransport(t, mux, func(t *testing.T, ctx context.Context, c *Client) {
		var got []string
		note := func(v any, err error) {
			data, jsonErr := json.Marshal(v)
			if err = errors.Join(err, jsonErr); err != nil {
				t.Error(err)
			}
			got = append(got, string(data))
		}
		step := func(p Progress) { got = append(got, fmt.Sprintf("%s %d", p.What, p.Done)) }

		list, err := c.Channels(ctx)
		note(list.Channels[0].Shards[0].LagEvents, err)
		token, err := c.AddChannel(ctx, NewChannel{Name: "west"})
		note(token.Token, err)
		plan, err := c.PromotionPlan(ctx)
		note(plan.Shards[0].Missing, err)
		p, err := c.Promote(ctx, PromoteRequest{}, step)
		note(p.Shards[0].Epoch, err)
		r, err := c.Resync(ctx, ResyncRequest{}, step)
		note(r.Shards[0].Bytes, err)
		res, err := c.Compare(ctx, CompareRequest{}, func(d MailboxDifference) error { note(d.Mailbox, nil); return nil }, step)
		note(res.Differences, err)
		res, err = c.Diff(ctx, DiffRequest{}, func(d MessageDifference) error { note(d.UID, nil); return nil }, step)
		note(res.Differences, err)

		want := []string{"3", `"secret"`, "2", "starting 0", "5", "fetch 1", "7", `"INBOX"`, "1", "9", "1"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestComparingEndsWithTheErrorOfItsCaller(t *testing.T) {
	enough := errors.New("enough")
	eachTransport(t, respond(http.StatusOK, "{\"item\":{}}\n{\"done\":{}}\n"), func(t *testing.T, ctx context.Context, c *Client) {
		if _, err := c.Compare(ctx, CompareRequest{}, func(MailboxDifference) error { return enough }, nil); !errors.Is(err, enough) {
			t.Errorf("Compare: got %v", err)
		}
		if _, err := c.Diff(ctx, DiffRequest{}, func(MessageDifference) error { return enough }, nil); !errors.Is(err, enough) {
			t.Errorf("Diff: got %v", err)
		}
	})
}
