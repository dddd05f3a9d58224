package transfer

import (
	"context"
	"errors"
	"time"
)

// Numbers are what IMAP counts in a mailbox. 0 says that a number is not known.
type Numbers struct {
	UIDValidity uint32 `json:"uidvalidity,omitempty"`
	UIDNext     uint32 `json:"uidnext,omitempty"`
	Modseq      uint64 `json:"highestmodseq,omitempty"` // HIGHESTMODSEQ (RFC 7162)
}

// Folder is a mailbox of a source.
type Folder struct {
	Name       string // UTF-8, levels separated by "/"
	SpecialUse []string
	Subscribed bool
	Virtual    bool // shows messages of other folders
}

// Item is a message of a folder, without its bytes.
type Item struct {
	ID     string    // names the message in its folder for as long as it is there
	UID    uint32    // 0: the source has no UIDs
	Date   time.Time // INTERNALDATE; zero: not known
	Size   int64     // bytes; -1: not known
	Flags  []string
	Recent bool // nobody has been told of it yet
}

// Source is an account somewhere else. It is for one goroutine.
type Source interface {
	// Folders lists the folders.
	Folders(ctx context.Context) ([]Folder, error)
	// Numbers gives the numbers of a folder.
	Numbers(ctx context.Context, folder string) (Numbers, error)
	// Items lists the messages of a folder, by ascending UID where it has UIDs.
	Items(ctx context.Context, folder string) ([]Item, error)
	// Fetch reads messages of the folder whose Items were asked for last. fn is called for each that is there, in order; its bytes are fn's.
	// A message that cannot be read goes to fn with an error that is ErrMessage.
	Fetch(ctx context.Context, folder string, items []Item, fn func(Item, []byte, error) error) error
	Close() error
}

var (
	// ErrMessage says that one message cannot be had. All else can.
	ErrMessage = errors.New("message cannot be read")
	// ErrLogin says that a source refuses the user or the password.
	ErrLogin = errors.New("login refused")
	// ErrSource says that what was named is not what it should be.
	ErrSource = errors.New("not a source")
)

// Bounds of a batch: of what is fetched before it is written.
const (
	batchMessages = 100
	batchBytes    = 16 << 20
)

// batches calls fn with pieces of a list that stay within the bounds of a batch.
func batches(items []Item, fn func([]Item) error) error {
	for len(items) > 0 {
		n, size := 0, int64(0)
		for n < len(items) && n < batchMessages && (n == 0 || size+items[n].Size <= batchBytes) {
			size += max(items[n].Size, 0)
			n++
		}
		if err := fn(items[:n]); err != nil {
			return err
		}
		items = items[n:]
	}
	return nil
}
