package control

import (
	"context"
	"net/http"
)

// Channels lists the links to other nodes.
func (c *Client) Channels(ctx context.Context) (ChannelList, error) {
	return call[ChannelList](ctx, c, http.MethodGet, PathChannels, nil)
}

// AddChannel lets another node join this one. The token in the answer is a secret, and is given only this once.
func (c *Client) AddChannel(ctx context.Context, req NewChannel) (JoinToken, error) {
	return call[JoinToken](ctx, c, http.MethodPost, PathChannels, req)
}

// ChangeChannel changes when writes are acknowledged, or whether a channel is paused.
func (c *Client) ChangeChannel(ctx context.Context, name string, req ChangeChannel) error {
	_, err := call[struct{}](ctx, c, http.MethodPatch, named(PathChannel, name), req)
	return err
}

// RemoveChannel ends a channel for good: the other node needs a new token to come back.
func (c *Client) RemoveChannel(ctx context.Context, name string) error {
	_, err := call[struct{}](ctx, c, http.MethodDelete, named(PathChannel, name), nil)
	return err
}

// PromotionPlan asks what a promotion of this node would mean. It changes nothing.
func (c *Client) PromotionPlan(ctx context.Context) (PromotionPlan, error) {
	return call[PromotionPlan](ctx, c, http.MethodGet, PathPromote, nil)
}

// Promote makes this node the primary. progress, which may be nil, is told its steps. The node does not break a promotion off when ctx
// ends.
func (c *Client) Promote(ctx context.Context, req PromoteRequest, progress func(Progress)) (Promotion, error) {
	return stream[struct{}, Promotion](ctx, c, http.MethodPost, PathPromote, req, nil, progress)
}

// Demote hands this node's lead over to another.
func (c *Client) Demote(ctx context.Context, req DemoteRequest) error {
	_, err := call[struct{}](ctx, c, http.MethodPost, PathDemote, req)
	return err
}

// Resync makes replicas of this node anew from another node's. progress may be nil.
func (c *Client) Resync(ctx context.Context, req ResyncRequest, progress func(Progress)) (ResyncResult, error) {
	return stream[struct{}, ResyncResult](ctx, c, http.MethodPost, PathResync, req, nil, progress)
}

// Compare compares what this node holds with what another does. each is told every mailbox that differs, progress how far it is;
// progress may be nil.
func (c *Client) Compare(ctx context.Context, req CompareRequest, each func(MailboxDifference) error, progress func(Progress)) (CompareResult, error) {
	return stream[MailboxDifference, CompareResult](ctx, c, http.MethodPost, PathCompare, req, each, progress)
}

// Diff compares the messages of one account with those on another node. each is told every one that differs; progress may be nil.
func (c *Client) Diff(ctx context.Context, req DiffRequest, each func(MessageDifference) error, progress func(Progress)) (CompareResult, error) {
	return stream[MessageDifference, CompareResult](ctx, c, http.MethodPost, PathDiff, req, each, progress)
}
