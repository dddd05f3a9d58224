package control

// Paths of the API of import and export.
const (
	PathImport = "/v1/import" // POST ImportRequest: lines of Transferred, the last a TransferResult
	PathExport = "/v1/export" // POST ExportRequest: lines of Transferred, the last a TransferResult
)

// ImportRequest is the request of POST PathImport. Paths are those of the node's machine.
type ImportRequest struct {
	Kind           string          `json:"kind"` // "maildir", "mbox", "archive", "imap"
	Server         ImportServer    `json:"server,omitzero"`
	Accounts       []ImportAccount `json:"accounts"`
	Keep           bool            `json:"keep,omitempty"`   // UIDVALIDITY and UIDs
	Create         bool            `json:"create,omitempty"` // accounts that are not there, without a password if none is given
	Include        []string        `json:"include,omitempty"`
	Exclude        []string        `json:"exclude,omitempty"`
	Into           string          `json:"into,omitempty"`
	SkipVirtual    bool            `json:"skip_virtual,omitempty"`
	NoFlags        bool            `json:"no_flags,omitempty"`
	Delete         bool            `json:"delete,omitempty"`
	DryRun         bool            `json:"dry_run,omitempty"`
	BytesPerSecond int             `json:"bytes_per_second,omitempty"` // of all accounts together; 0: no limit
	Parallel       int             `json:"parallel,omitempty"`         // accounts at a time; 0: 4
}

// ImportServer is an IMAP server.
type ImportServer struct {
	Address  string `json:"address"`       // host:port
	TLS      string `json:"tls,omitempty"` // "tls", "starttls", "none"
	Insecure bool   `json:"insecure,omitempty"`
	AuthUser string `json:"auth_user,omitempty"` // logs in for all accounts, with AuthPassword
	Password string `json:"auth_password,omitempty"`
	OAuth    bool   `json:"oauth,omitempty"` // passwords are access tokens
}

// ImportAccount is one account of an import.
type ImportAccount struct {
	Source      string `json:"source"` // a path, or a user of the server
	Password    string `json:"password,omitempty"`
	Account     string `json:"account"`
	NewPassword string `json:"new_password,omitempty"` // of an account that is to be made
}

// ExportRequest is the request of POST PathExport.
type ExportRequest struct {
	Format   string   `json:"format"`             // "maildir", "mbox", "archive"
	Dir      string   `json:"dir"`                // on the node's machine
	Accounts []string `json:"accounts,omitempty"` // none: all; with none or several each has a directory of its name in Dir
	Include  []string `json:"include,omitempty"`
	Exclude  []string `json:"exclude,omitempty"`
	DryRun   bool     `json:"dry_run,omitempty"`
}

// Transferred is what became of one account.
type Transferred struct {
	Source    string            `json:"source,omitempty"`
	Account   string            `json:"account"`
	Dir       string            `json:"dir,omitempty"` // of an export
	OK        bool              `json:"ok"`
	Error     *Error            `json:"error,omitempty"`
	Created   bool              `json:"created,omitempty"` // the account
	Mailboxes int               `json:"mailboxes"`
	Made      int               `json:"made"`     // mailboxes
	Kept      int               `json:"kept"`     // mailboxes with the numbers they had
	Messages  int               `json:"messages"` // copied
	Bytes     int64             `json:"bytes"`
	Known     int               `json:"known"` // messages that were there
	Flags     int               `json:"flags"` // messages whose flags were brought up to date
	Expunged  int               `json:"expunged"`
	Failed    int               `json:"failed"` // messages
	Problems  []TransferProblem `json:"problems"`
	Seconds   float64           `json:"seconds"`
}

// TransferProblem is something that could not be brought over, or not as it was.
type TransferProblem struct {
	Mailbox string `json:"mailbox,omitempty"`
	Message string `json:"message,omitempty"`
	Text    string `json:"text"`
}

// TransferResult is the end of an import or an export.
type TransferResult struct {
	DryRun   bool    `json:"dry_run"`
	Accounts int     `json:"accounts"`
	Failed   int     `json:"failed"` // accounts that failed, or lack messages
	Messages int     `json:"messages"`
	Bytes    int64   `json:"bytes"`
	Seconds  float64 `json:"seconds"`
	// Listed is filled in by the tool from the items.
	Listed []Transferred `json:"listed"`
}
