package control

import (
	"context"
	"net/http"
)

// Notify asks how the receivers of events do.
func (c *Client) Notify(ctx context.Context) (NotifyStatus, error) {
	return call[NotifyStatus](ctx, c, http.MethodGet, PathNotify, nil)
}

// Watch calls each with the events that a request asks for, in order within each shard. Without Once it ends only with an error: that of ctx, or of
// each. History that is no longer there is an *Error with CodeHistory.
func (c *Client) Watch(ctx context.Context, req WatchRequest, each func(WatchedEvent) error) error {
	_, err := stream[WatchedEvent, struct{}](ctx, c, http.MethodPost, PathWatch, req, each, nil)
	return err
}

// Consumers lists who holds credentials.
func (c *Client) Consumers(ctx context.Context) (ConsumerList, error) {
	return call[ConsumerList](ctx, c, http.MethodGet, PathConsumers, nil)
}

// AddConsumer makes credentials. They are a secret, and are given only this once.
func (c *Client) AddConsumer(ctx context.Context, req NewConsumer) (Credentials, error) {
	return call[Credentials](ctx, c, http.MethodPost, PathConsumers, req)
}

// RemoveConsumer makes credentials worthless, and disconnects who uses them.
func (c *Client) RemoveConsumer(ctx context.Context, name string) error {
	_, err := call[struct{}](ctx, c, http.MethodDelete, named(PathConsumer, name), nil)
	return err
}
