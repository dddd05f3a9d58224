// Package body keeps the message bodies of one replica of one shard in append-only segment files.
//
// The store holds blobs: bodies as the writer encoded them (raw, zstd or s2), named by the GUID of the message. It neither
// decodes a blob nor keeps an index. The owner's index maps a GUID to [Extent]s, and commits, in the same batch as the
// applied log position, the [Mark] at which the segments ended at that position.
//
// # The rule
//
// No index entry reaches the disk before the bytes it refers to: the owner calls [Store.Sync] before the index becomes
// durable. After a crash the index is at some earlier position; [Open] is given the mark stored there and cuts everything
// beyond it, and the log is replayed from there. Where a blob goes is a function of the mark, the segment size and the
// length of the blob alone, so that a replica that was resumed, or rebuilt from the start, is bit for bit the same as one
// that never stopped. (Replicas compared in this way must use one segment size, and
// must not have been compacted.)
//
// Segments but the last can be removed ([Store.Remove]) once nothing refers to them: the owner moves what is left in them by
// appending it again, and keeps the [Gaps] beside the mark.
//
// # Guarantees
//
//   - A blob is readable by every goroutine as soon as [Store.Append] has returned its extent, synced or not.
//   - [Store.Read] returns exactly the bytes that were appended under that GUID at that extent, or an error. Damage is a
//     [*CorruptError] naming the file and the offset.
//   - Everything appended before a call of [Store.Sync] survives a power cut once that call has returned nil.
//   - Bytes that the mark promises and the disk no longer has are a [*ShortError] from [Open], which then changes nothing.
//   - A failed Append (a full disk, say) leaves no trace: the mark stands, and a later Append goes to the same place.
//   - [Store.Rollback] takes back what a batch appended that was not committed, and leaves no trace either.
//   - A failed fsync is final, see [Store.Sync].
//   - Memory and descriptors are bounded: [Options.MaxBlob], [Options.OpenFiles], maxUnsyncedSegments, maxScratchBytes.
//
// One process at a time may have a directory open; the owner's lock on its own directory sees to that.
//
// # File format, version 1
//
// A store is a directory of files named body-NNNNNNNNNN.seg, where N is the segment number in ten decimal digits. Numbers
// start at 1 and have no gaps but those of removed segments. Only the segment with the highest number grows; the others never change. Names ending in
// .seg.tmp are left-overs of an interrupted cut and are removed; other names are not touched.
//
// All integers are unsigned and little-endian. CRC-32C is the Castagnoli polynomial (RFC 3720, appendix B.4).
//
// A segment is a segment header followed by records, without padding or footer:
//
//	offset  size  segment header (24 bytes)
//	0       8     "ANGBODY1": the format and its version
//	8       4     segment number
//	12      8     size in bytes of the segment before this one; 0 in segment 1
//	20      4     CRC-32C of bytes 0 to 19
//
//	offset  size  record
//	0       4     "ABR1"
//	4       4     CRC-32C of the record from byte 8 to its end
//	8       4     n, the length of the blob in bytes
//	12      4     segment number
//	16      8     offset of this record in its segment, in bytes
//	24      32    GUID: the SHA-256 of the decoded body
//	56      n     the blob
//
// A record begins a new segment if there is none yet, or if it would make the current segment, which has at least one
// record, larger than the segment size (256 MiB by default). A record never spans segments; one that is larger than the
// segment size has a segment to itself. Every segment therefore holds at least one record.
//
// An [Extent] is the segment, the offset of the record (not of the blob) and n. A [Mark] is the number of the last segment
// and its size; the zero Mark is that of the empty store, which has no files.
//
// A reader must compare magic, n, segment, offset and GUID of a record with what it expects, and verify the CRC. A store
// with an unknown "ANGBODY" version must be refused. A segment that is shorter than its successor's header says has lost
// records; bytes after that size, or after the mark in the last segment, are not part of the store.
//
// # Imports
//
// The package imports Pebble's vfs, its seam to the file system, and nothing of ours.
package body
