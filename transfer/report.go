package transfer

// maxProblems bounds how many problems of an account are listed; all are counted.
const maxProblems = 1000

// Problem is something that could not be brought over, or not as it was.
type Problem struct {
	Mailbox string `json:"mailbox,omitempty"`
	Message string `json:"message,omitempty"` // as the source names it
	Text    string `json:"text"`
}

// Report is what became of one account.
type Report struct {
	Mailboxes int       `json:"mailboxes"` // that were looked at
	Made      int       `json:"made"`      // mailboxes
	Kept      int       `json:"kept"`      // mailboxes with the numbers of the source
	Messages  int       `json:"messages"`  // copied
	Bytes     int64     `json:"bytes"`     // of these
	Known     int       `json:"known"`     // messages that were there already
	Flags     int       `json:"flags"`     // messages whose flags were brought up to date
	Expunged  int       `json:"expunged"`  // messages that are no more at the source
	Failed    int       `json:"failed"`    // messages that could not be copied
	Problems  []Problem `json:"problems"`  // a thousand at most
}

func (r *Report) problem(p Problem) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, p)
	}
}

// Progress says how far the transfer of an account is.
type Progress struct {
	Mailbox          string
	Done, OfMessages int
}
