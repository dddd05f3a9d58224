package body

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Repair writes the blob of the body named guid at ext again, where it was appended once and has been damaged since, and syncs it. That
// blob is what was there is for the caller to prove. A blob that can be read is left alone. A crash on the way leaves it damaged.
func (s *Store) Repair(ext Extent, guid GUID, blob []byte) error {
	if err := s.repair(ext, guid, blob); err != nil {
		return fmt.Errorf("body: repair %x: %w", guid[:8], err)
	}
	return nil
}

func (s *Store) repair(ext Extent, guid GUID, blob []byte) (err error) {
	if int(ext.Length) != len(blob) {
		return fmt.Errorf("%d bytes for an extent of %d", len(blob), ext.Length)
	}
	s.appendMu.Lock() // nothing is rolled back meanwhile
	defer s.appendMu.Unlock()
	if err := s.within(ext); err != nil {
		return err
	}
	if _, err := s.readBlob(ext, guid, nil); err == nil {
		return nil
	}
	f, err := s.fs.OpenReadWrite(s.path(ext.Segment), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := writeAt(f, appendRecord(nil, ext.Segment, ext.Offset, guid, blob), ext.Offset); err != nil {
		return err
	}
	if err := f.SyncData(); err != nil {
		return err
	}
	_, err = s.readBlob(ext, guid, nil)
	return err
}
