package imapd

import (
	"context"

	"angarium/mailstore"
)

// handleNamespace tells of the one namespace there is: the account's own, without a prefix (RFC 2342).
func handleNamespace(s *session, _ context.Context) (reply, error) {
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	s.enc.Raw(`* NAMESPACE (("" "` + mailstore.Separator + `")) NIL NIL`).CRLF()
	return reply{text: "Namespaces told"}, nil
}
