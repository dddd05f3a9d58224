package control

import (
	"context"
	"net/http"
)

// Backup brings everything up to now into the archive, with a snapshot. progress may be nil.
func (c *Client) Backup(ctx context.Context, req ArchiveRef, progress func(Progress)) (BackupResult, error) {
	return stream[struct{}, BackupResult](ctx, c, http.MethodPost, PathBackup, req, nil, progress)
}

// Snapshots says what an archive holds.
func (c *Client) Snapshots(ctx context.Context, req ArchiveRef) (SnapshotList, error) {
	return call[SnapshotList](ctx, c, http.MethodPost, PathSnapshots, req)
}

// Prune removes snapshots from an archive, and what no kept point needs.
func (c *Client) Prune(ctx context.Context, req PruneRequest) (PruneResult, error) {
	return call[PruneResult](ctx, c, http.MethodPost, PathPrune, req)
}

// VerifyArchive reads a whole archive. each is told everything that is wrong; progress may be nil.
func (c *Client) VerifyArchive(ctx context.Context, req VerifyArchiveRequest, each func(ArchiveFinding) error, progress func(Progress)) (VerifyArchiveResult, error) {
	return stream[ArchiveFinding, VerifyArchiveResult](ctx, c, http.MethodPost, PathVerifyArchive, req, each, progress)
}

// Usage says where the disk goes.
func (c *Client) Usage(ctx context.Context, req ArchiveRef) (Usage, error) {
	return call[Usage](ctx, c, http.MethodPost, PathUsage, req)
}

// Restore plans to bring back what was, and does so unless it is a dry run. each is told the plan of every account before it is carried out;
// progress may be nil.
func (c *Client) Restore(ctx context.Context, req RestoreRequest, each func(RestorePlan) error, progress func(Progress)) (RestoreResult, error) {
	return stream[RestorePlan, RestoreResult](ctx, c, http.MethodPost, PathRestore, req, each, progress)
}

// History tells what happened, oldest first.
func (c *Client) History(ctx context.Context, req HistoryRequest, each func(HistoryEvent) error, progress func(Progress)) error {
	_, err := stream[HistoryEvent, struct{}](ctx, c, http.MethodPost, PathHistory, req, each, progress)
	return err
}

// Recall takes a message out of every mailbox, unless it is a dry run.
func (c *Client) Recall(ctx context.Context, req RecallRequest) (RecallResult, error) {
	return call[RecallResult](ctx, c, http.MethodPost, PathRecall, req)
}
