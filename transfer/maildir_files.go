package transfer

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// The files that Dovecot keeps beside messages, and one of ours.
const (
	subscriptionsFile = "subscriptions"
	uidListFile       = "dovecot-uidlist"
	keywordsFile      = "dovecot-keywords"
	specialUseFile    = "angarium-special-use"
)

// uidList is Dovecot's list of the UIDs of a folder.
type uidList struct {
	numbers Numbers
	uids    map[string]uint32 // by the part of file names before the colon
}

// readUIDList reads the list of a directory; without one there are no numbers. Lines that make no sense are passed over.
func readUIDList(dir string) (uidList, error) {
	list := uidList{uids: map[string]uint32{}}
	text, err := readSmall(filepath.Join(dir, uidListFile))
	if err != nil || text == nil {
		return list, err
	}
	header, rest, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(header)
	if len(fields) == 0 || (fields[0] != "1" && fields[0] != "3") {
		return list, fmt.Errorf("%w: %s is of an unknown version", ErrSource, filepath.Join(dir, uidListFile))
	}
	if fields[0] == "1" { // 1 UIDVALIDITY UIDNEXT
		if len(fields) >= 3 {
			list.numbers = Numbers{UIDValidity: uint32Of(fields[1]), UIDNext: uint32Of(fields[2])}
		}
	} else {
		for _, f := range fields[1:] {
			switch f[0] {
			case 'V':
				list.numbers.UIDValidity = uint32Of(f[1:])
			case 'N':
				list.numbers.UIDNext = uint32Of(f[1:])
			}
		}
	}
	seen := map[uint32]bool{}
	for l := range strings.SplitSeq(rest, "\n") {
		number, name, ok := strings.Cut(l, " ")
		if fields[0] == "3" { // UID, extensions, ":" and the name
			if k := strings.Index(name, ":"); k >= 0 {
				name = name[k+1:]
			}
		}
		uid := uint32Of(number)
		base, _, _ := strings.Cut(name, ":")
		if !ok || uid == 0 || base == "" || seen[uid] {
			continue
		}
		seen[uid] = true
		list.uids[base] = uid
		list.numbers.UIDNext = max(list.numbers.UIDNext, uid+1)
	}
	if list.numbers.UIDValidity == 0 {
		return uidList{uids: map[string]uint32{}}, nil
	}
	return list, nil
}

func uint32Of(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0
	}
	return uint32(n)
}

// readKeywords reads the names of the keywords that the letters a to z stand for: "0 Name" a line, 0 for a.
func readKeywords(dir string) (map[byte]string, error) {
	text, err := readSmall(filepath.Join(dir, keywordsFile))
	if err != nil {
		return nil, err
	}
	names := map[byte]string{}
	for l := range strings.SplitSeq(string(text), "\n") {
		number, name, ok := strings.Cut(l, " ")
		if n, err := strconv.Atoi(number); ok && err == nil && n >= 0 && n < 26 {
			names['a'+byte(n)] = name
		}
	}
	return names, nil
}

// readSpecialUses reads what an export has noted of special uses: "\Sent<tab>name" a line.
func readSpecialUses(root string) (map[string][]string, error) {
	text, err := readSmall(filepath.Join(root, specialUseFile))
	if err != nil {
		return nil, err
	}
	uses := map[string][]string{}
	for l := range strings.SplitSeq(string(text), "\n") {
		if use, name, ok := strings.Cut(l, "\t"); ok {
			uses[name] = append(uses[name], use)
		}
	}
	return uses, nil
}
