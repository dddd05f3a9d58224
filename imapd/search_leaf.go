package imapd

import (
	"time"

	"angarium/imapd/wire"
	"angarium/message"
	"angarium/replica/state"
)

// flagSearchKey gives a key without arguments, nil if there is none of that name.
func flagSearchKey(word string) *searchKey {
	switch word {
	case "ALL", "SAVEDATESUPPORTED": // RFC 8514, section 4.2
		return simpleKey(costView, func(*candidate) bool { return true })
	case "ANSWERED":
		return flagKeyOf(`\Answered`, true)
	case "DELETED":
		return flagKeyOf(`\Deleted`, true)
	case "DRAFT":
		return flagKeyOf(`\Draft`, true)
	case "FLAGGED":
		return flagKeyOf(`\Flagged`, true)
	case "SEEN":
		return flagKeyOf(`\Seen`, true)
	case "UNANSWERED":
		return flagKeyOf(`\Answered`, false)
	case "UNDELETED":
		return flagKeyOf(`\Deleted`, false)
	case "UNDRAFT":
		return flagKeyOf(`\Draft`, false)
	case "UNFLAGGED":
		return flagKeyOf(`\Flagged`, false)
	case "UNSEEN":
		return flagKeyOf(`\Seen`, false)
	case "RECENT":
		return recentKey(true)
	case "OLD":
		return recentKey(false)
	case "NEW":
		return innerKey(opAnd, recentKey(true), flagKeyOf(`\Seen`, false))
	}
	return nil
}

// flagKeyOf matches messages with a flag, or those without it. A keyword that the mailbox does not have is on no message.
func flagKeyOf(flag string, want bool) *searchKey {
	return leafKey(costView, func(env *searchEnv) (matchFunc, error) {
		bit, known := state.FlagBit(env.keywords, flag)
		return func(m *candidate) (verdict, error) { return verdictOf((known && m.live.Flags.Has(bit)) == want), nil }, nil
	})
}

// recentKey matches \Recent, which no message has in IMAP4rev2.
func recentKey(want bool) *searchKey {
	return leafKey(costView, func(env *searchEnv) (matchFunc, error) {
		recent := env.s.box.recent
		return func(m *candidate) (verdict, error) { return verdictOf(recent.Contains(m.live.UID) == want), nil }, nil
	})
}

// numberKey matches a set of sequence numbers or UIDs. "*" in an empty mailbox is not an error here, since there is nothing to
// match.
func numberKey(set wire.NumSet, byUID bool) *searchKey {
	return leafKey(costView, func(env *searchEnv) (matchFunc, error) {
		if env.s.box.told.Len() == 0 {
			return func(*candidate) (verdict, error) { return no, nil }, nil
		}
		uids, err := env.s.resolve(set, byUID)
		if err != nil {
			return nil, err
		}
		return func(m *candidate) (verdict, error) { return verdictOf(uids.Contains(m.live.UID)), nil }, nil
	})
}

const daySeconds = 24 * 60 * 60

// dateKey compares days: of INTERNALDATE and of the save date in UTC, of the Date field in the sender's zone (RFC 9051, section
// 6.4.4: time and zone do not count). A message without a valid Date has INTERNALDATE for it.
func dateKey(word string, day int64) *searchKey {
	cost, seconds := costRecord, func(m *candidate) (int64, error) { return m.row.msg.InternalDate, nil }
	switch word {
	case "SENTBEFORE", "SENTON", "SENTSINCE":
		cost, seconds = costStructure, sentSeconds
		word = word[len("SENT"):]
	case "SAVEDBEFORE", "SAVEDON", "SAVEDSINCE":
		seconds = func(m *candidate) (int64, error) { return m.row.msg.SaveDate, nil }
		word = word[len("SAVED"):]
	}
	within := func(t int64) bool { return t >= day }
	switch word {
	case "BEFORE":
		within = func(t int64) bool { return t < day }
	case "ON":
		within = func(t int64) bool { return t >= day && t < day+daySeconds }
	}
	return leafKey(cost, func(*searchEnv) (matchFunc, error) {
		return func(m *candidate) (verdict, error) {
			t, err := seconds(m)
			return verdictOf(within(t)), err
		}, nil
	})
}

// sentSeconds gives the sender's local time, as if it were UTC.
func sentSeconds(m *candidate) (int64, error) {
	blob, err := m.blob()
	if err != nil {
		return 0, err
	}
	sent, err := blob.Sent()
	if err != nil || !sent.Valid {
		return m.row.msg.InternalDate, err
	}
	return sent.Unix + int64(sent.OffsetMinutes)*60, nil
}

// ageKey compares INTERNALDATE with now (RFC 5032).
func ageKey(age time.Duration, older bool) *searchKey {
	return leafKey(costRecord, func(env *searchEnv) (matchFunc, error) {
		limit := env.now.Add(-age).Unix()
		return func(m *candidate) (verdict, error) {
			if older {
				return verdictOf(m.row.msg.InternalDate <= limit), nil
			}
			return verdictOf(m.row.msg.InternalDate >= limit), nil
		}, nil
	})
}

// headerKey looks in the fields of a name: in those that are cached, else in the header itself.
func headerKey(name, value string) *searchKey {
	names := []string{name}
	return leafKey(costStructure, func(*searchEnv) (matchFunc, error) {
		needle := message.NewMatcher(value)
		return func(m *candidate) (verdict, error) {
			blob, err := m.blob()
			if err != nil {
				return unknown, err
			}
			if block, ok, err := blob.CachedHeaderFields(names); err == nil && ok {
				return verdictOf(needle.MatchHeader(block, name)), nil
			}
			if m.level < costBody {
				return unknown, nil
			}
			raw, parts, err := m.both()
			if err != nil {
				return unknown, err
			}
			return verdictOf(needle.MatchHeader(parts.Parts[0].Header().Of(raw), name)), nil
		}, nil
	})
}

// textKey looks in the text of the body and, for TEXT, in the header.
func textKey(value string, header bool) *searchKey {
	return leafKey(costBody, func(*searchEnv) (matchFunc, error) {
		needle := message.NewMatcher(value)
		return func(m *candidate) (verdict, error) {
			raw, parts, err := m.both()
			switch {
			case err != nil:
				return unknown, err
			case header:
				return verdictOf(needle.MatchText(raw, parts)), nil
			}
			return verdictOf(needle.MatchBody(raw, parts)), nil
		}, nil
	})
}
