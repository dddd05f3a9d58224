package control

import (
	"context"
	"net/http"
)

// Import copies accounts into the store. each is told what became of every one; progress may be nil.
func (c *Client) Import(ctx context.Context, req ImportRequest, each func(Transferred) error, progress func(Progress)) (TransferResult, error) {
	return stream[Transferred, TransferResult](ctx, c, http.MethodPost, PathImport, req, each, progress)
}

// Export writes accounts to a directory. each is told what became of every one; progress may be nil.
func (c *Client) Export(ctx context.Context, req ExportRequest, each func(Transferred) error, progress func(Progress)) (TransferResult, error) {
	return stream[Transferred, TransferResult](ctx, c, http.MethodPost, PathExport, req, each, progress)
}
