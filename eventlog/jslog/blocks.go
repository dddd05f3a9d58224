package jslog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// rewriteNewestBlocks copies the newest message block of every stream below dir to a new, synced file that takes its place. It is
// for after a failed fsync, on a stopped server: what reads back from the page cache need not be on the disk, and syncing the same
// file again would not tell.
func rewriteNewestBlocks(dir string) error {
	newest := map[string]int{} // folder → number of its newest block
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		number, ok := strings.CutSuffix(d.Name(), ".blk")
		if n, err := strconv.Atoi(number); ok && err == nil && !d.IsDir() {
			newest[filepath.Dir(path)] = max(newest[filepath.Dir(path)], n)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for message blocks: %w", err)
	}
	for folder, n := range newest {
		if err := rewrite(filepath.Join(folder, strconv.Itoa(n)+".blk")); err != nil {
			return fmt.Errorf("rewrite message block: %w", err)
		}
	}
	return nil
}

func rewrite(path string) (err error) {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	to, err := os.OpenFile(path+".rewrite", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(to.Name()))
		}
	}()
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Sync(), to.Close()); err != nil {
		return err
	}
	if err := os.Rename(to.Name(), path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// freeBytes says how much an unprivileged process can still write to the file system of a folder.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
