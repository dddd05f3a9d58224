package imapd

import (
	"context"

	"angarium/imapd/wire"
	"angarium/mailstore"
)

// handleLsub serves LSUB (RFC 3501, section 6.3.9). With a "%" the superiors of subscribed names are told as \Noselect when they are
// not subscribed themselves, even if they are mailboxes.
func handleLsub(s *session, ctx context.Context) (reply, error) {
	if err := s.r.SP(); err != nil {
		return reply{}, err
	}
	reference, err := s.r.Reference()
	if err != nil {
		return reply{}, err
	}
	if err := s.r.SP(); err != nil {
		return reply{}, err
	}
	text, err := s.r.ListMailbox()
	if err != nil {
		return reply{}, err
	}
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	if len(reference)+len(text) > wire.MaxMailboxName {
		return reply{}, s.bad("The pattern is too long")
	}
	list, err := s.listTree(ctx)
	if err != nil {
		return reply{}, err
	}
	p := newPattern(reference + text)
	markSelected(list, func(e *listEntry) bool { return e.subscribed })
	for _, e := range list {
		if err := ctx.Err(); err != nil {
			return reply{}, err
		}
		superior := !e.subscribed && e.below && !p.hasStar()
		if !(e.subscribed || superior) || !p.match(e.name) {
			continue
		}
		s.enc.Raw("* LSUB ")
		if superior {
			s.enc.Raw(`(\Noselect)`)
		} else {
			s.enc.Raw("()")
		}
		s.enc.Raw(` "` + mailstore.Separator + `" `).Mailbox(e.name).CRLF()
	}
	return reply{text: "Subscriptions told"}, nil
}
