package archive

import (
	"context"
	"fmt"
	"net/url"
	"strings"
)

// Info describes an object of a target.
type Info struct {
	Name string
	Size int64 // bytes
}

// Target keeps the objects of an archive. Names are paths of letters, digits, "-", "." and "/". Objects are written once and never
// changed. Implementations are safe for concurrent use.
type Target interface {
	// Put stores an object, whole or not at all, and returns when it is on stable storage: ErrExists when there is one of that
	// name. After any other error it may be there or not. It does not keep data.
	Put(ctx context.Context, name string, data []byte) error

	// Get reads length bytes from offset, or to the end of the object when length is negative: ErrNotFound when there is no such object.
	// An object that is too short gives an error, never fewer bytes.
	Get(ctx context.Context, name string, offset, length int64) ([]byte, error)

	// List gives the objects whose names begin with prefix, in ascending order of their names.
	List(ctx context.Context, prefix string) ([]Info, error)

	// Delete removes an object. One that is not there is no error.
	Delete(ctx context.Context, name string) error

	// String is the target's URL, without secrets.
	String() string
}

// OpenTarget opens the target of a URL:
//
//	file:///DIR
//	s3://BUCKET/PREFIX?endpoint=HOST:PORT&region=R&tls=false&path-style=true&ca-file=PATH
//
// Every parameter may be left out: the endpoint is AWS's then, with TLS, and the bucket's name goes into the host's. The
// credentials of S3 come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), from the
// credentials file that AWS_SHARED_CREDENTIALS_FILE names, or from the machine's role.
func OpenTarget(rawURL string) (Target, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("archive URL: %w", err)
	}
	switch u.Scheme {
	case "file":
		if u.Path == "" || (u.Host != "" && u.Host != "localhost") {
			return nil, fmt.Errorf("archive URL %q: want file:///DIR", rawURL)
		}
		return OpenDir(u.Path)
	case "s3":
		opts, err := parseS3(u)
		if err != nil {
			return nil, fmt.Errorf("archive URL %q: %w", u.Redacted(), err)
		}
		return OpenS3(opts)
	}
	return nil, fmt.Errorf("archive URL %q: unknown scheme %q, want file or s3", u.Redacted(), u.Scheme)
}

func parseS3(u *url.URL) (S3Options, error) {
	opts := S3Options{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	if opts.Bucket == "" {
		return opts, fmt.Errorf("no bucket")
	}
	for key, values := range u.Query() {
		v := values[len(values)-1]
		var err error
		switch key {
		case "endpoint":
			opts.Endpoint = v
		case "region":
			opts.Region = v
		case "ca-file":
			opts.CAFile = v
		case "tls":
			var secure bool
			secure, err = parseBool(v)
			opts.Plain = !secure
		case "path-style":
			opts.PathStyle, err = parseBool(v)
		default:
			return opts, fmt.Errorf("unknown parameter %q", key)
		}
		if err != nil {
			return opts, fmt.Errorf("parameter %s: %w", key, err)
		}
	}
	return opts, nil
}

func parseBool(s string) (bool, error) {
	switch s {
	case "true", "1", "yes", "":
		return true, nil
	case "false", "0", "no":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}

// checkName holds that a name stays within the target.
func checkName(name string) error {
	if name == "" || strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") {
		return fmt.Errorf("object name %q", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.ContainsFunc(part, notInName) {
			return fmt.Errorf("object name %q", name)
		}
	}
	return nil
}

func notInName(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.':
		return false
	}
	return true
}
