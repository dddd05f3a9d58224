package archive

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"angarium/eventlog"
)

// Names of objects begin with their shard and sort by position:
//
//	archive.json                                          what the archive is
//	shard-0000/log/FIRST-LAST.seg                         a sealed segment
//	shard-0000/log/FIRST-LAST.tail                        a piece of the open segment
//	shard-0000/pack/FIRST-LAST-TAG.pack                   bodies of envelopes that were pruned
//	shard-0000/rows/POSITION-TAG-PART.rows                rows of a snapshot
//	shard-0000/snap/POSITION.snap                         a complete snapshot
//
// Positions have 20 decimal digits, parts four; a tag is 16 random hex digits.
const manifestName = "archive.json"

// maxShards bounds the shards of an archive.
const maxShards = 10000

func shardDir(shard int) string { return fmt.Sprintf("shard-%04d/", shard) }

func segmentName(shard int, first, last eventlog.Position, sealed bool) string {
	ext := "tail"
	if sealed {
		ext = "seg"
	}
	return fmt.Sprintf("%slog/%020d-%020d.%s", shardDir(shard), first, last, ext)
}

func packName(shard int, first, last eventlog.Position) string {
	return fmt.Sprintf("%spack/%020d-%020d-%s.pack", shardDir(shard), first, last, newTag())
}

func rowsName(shard int, at eventlog.Position, tag string, part int) string {
	return fmt.Sprintf("%srows/%020d-%s-%04d.rows", shardDir(shard), at, tag, part)
}

func snapshotName(shard int, at eventlog.Position) string {
	return fmt.Sprintf("%ssnap/%020d.snap", shardDir(shard), at)
}

func newTag() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// named is an object whose name says what it is.
type named struct {
	Info
	first, last eventlog.Position
	sealed      bool // of a segment
}

// catalog is the objects of one shard, each list by ascending positions.
type catalog struct {
	segments, packs, snapshots, rows []named
	unknown                          []Info
}

var namePattern = regexp.MustCompile(`^(log|pack|rows|snap)/(\d{20})(?:-(\d{20}))?(?:-[0-9a-f]{16})?(?:-\d{4})?\.(seg|tail|pack|rows|snap)$`)

// loadCatalog lists the objects of a shard.
func loadCatalog(ctx context.Context, t Target, shard int) (*catalog, error) {
	list, err := t.List(ctx, shardDir(shard))
	if err != nil {
		return nil, err
	}
	c := new(catalog)
	for _, info := range list {
		m := namePattern.FindStringSubmatch(strings.TrimPrefix(info.Name, shardDir(shard)))
		if m == nil {
			c.unknown = append(c.unknown, info)
			continue
		}
		n := named{Info: info, sealed: m[4] == "seg"}
		first, err1 := strconv.ParseUint(m[2], 10, 64)
		last, err2 := strconv.ParseUint(cmp.Or(m[3], m[2]), 10, 64)
		n.first, n.last = eventlog.Position(first), eventlog.Position(last)
		switch {
		case err1 != nil || err2 != nil || first > last:
			c.unknown = append(c.unknown, info)
		case m[1] == "log" && m[3] != "" && (m[4] == "seg" || m[4] == "tail"):
			c.segments = append(c.segments, n)
		case m[1] == m[4] && m[1] == "pack":
			c.packs = append(c.packs, n)
		case m[1] == m[4] && m[1] == "snap":
			c.snapshots = append(c.snapshots, n)
		case m[1] == m[4] && m[1] == "rows":
			c.rows = append(c.rows, n)
		default:
			c.unknown = append(c.unknown, info)
		}
	}
	// Of segments that begin at the same position, the one that leads farthest comes first.
	slices.SortStableFunc(c.segments, func(a, b named) int { return cmp.Or(cmp.Compare(a.first, b.first), -cmp.Compare(a.last, b.last)) })
	return c, nil
}

// chain gives the segments to read from a position on, in order, with as few objects as possible, and the position behind the last: as
// far as there is no gap. Segments may overlap: then the reader leaves out what it has.
func (c *catalog) chain(from eventlog.Position) (list []named, next eventlog.Position) {
	next = from
	for i := 0; i < len(c.segments); {
		best := -1
		for ; i < len(c.segments) && c.segments[i].first <= next; i++ {
			if s := c.segments[i]; s.last >= next && (best < 0 || s.last > c.segments[best].last) {
				best = i
			}
		}
		if best < 0 {
			if i < len(c.segments) && c.segments[i].first > next {
				break // a gap
			}
			continue
		}
		list = append(list, c.segments[best])
		next = c.segments[best].last + 1
	}
	return list, next
}

// head gives the first and the last position in any segment; zeros when there is none.
func (c *catalog) head() (first, last eventlog.Position) {
	for _, s := range c.segments {
		if first == 0 || s.first < first {
			first = s.first
		}
		last = max(last, s.last)
	}
	return first, last
}

// shardOf gives the shard that an object belongs to; false for one that belongs to none.
func shardOf(name string) (int, bool) {
	dir, _, _ := strings.Cut(name, "/")
	n, err := strconv.Atoi(strings.TrimPrefix(dir, "shard-"))
	return n, err == nil && path.Clean(shardDir(n)) == dir
}

// kind is the kind of a segment or pack.
func (n *named) kind() byte {
	if strings.HasSuffix(n.Name, ".pack") {
		return kindPack
	}
	return kindSegment
}
