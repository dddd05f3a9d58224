package archive

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3Options says where an S3 target is. Zero values mean the defaults named here.
type S3Options struct {
	Bucket    string // which must exist
	Prefix    string // of the names of all objects, without a slash at its ends [none]
	Endpoint  string // HOST or HOST:PORT [s3.amazonaws.com]
	Region    string // [asked of the server]
	Plain     bool   // without TLS
	PathStyle bool   // the bucket in the path of the URL instead of its host
	CAFile    string // certificates of authorities to trust instead of the machine's, in PEM

	// Credentials override the environment, the credentials file and the machine's role.
	AccessKey, SecretKey, SessionToken string
}

// S3 is a target in a bucket of an S3 server.
type S3 struct {
	client *minio.Client
	opts   S3Options
}

// OpenS3 makes a target of a bucket. It does not connect yet.
func OpenS3(opts S3Options) (*S3, error) {
	if opts.Endpoint == "" {
		opts.Endpoint = "s3.amazonaws.com"
	}
	creds := credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{},
	})
	if opts.AccessKey != "" {
		creds = credentials.NewStaticV4(opts.AccessKey, opts.SecretKey, opts.SessionToken)
	}
	mo := &minio.Options{Creds: creds, Secure: !opts.Plain, Region: opts.Region, BucketLookup: minio.BucketLookupAuto}
	if opts.PathStyle {
		mo.BucketLookup = minio.BucketLookupPath
	}
	if opts.CAFile != "" {
		transport, err := transportWith(opts.CAFile)
		if err != nil {
			return nil, fmt.Errorf("archive on S3: %w", err)
		}
		mo.Transport = transport
	}
	client, err := minio.New(opts.Endpoint, mo)
	if err != nil {
		return nil, fmt.Errorf("archive on S3: %w", err)
	}
	return &S3{client, opts}, nil
}

func transportWith(caFile string) (*http.Transport, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("certificates of authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("certificates of authorities: none in %s", caFile)
	}
	transport, err := minio.DefaultTransport(true)
	if err != nil {
		return nil, err
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return transport, nil
}

// String implements Target.
func (s *S3) String() string { return "s3://" + path.Join(s.opts.Bucket, s.opts.Prefix) }

func (s *S3) key(name string) string { return path.Join(s.opts.Prefix, name) }

// Put implements Target. The upload is one conditional request (If-None-Match: *), and carries a checksum that the server compares.
func (s *S3) Put(ctx context.Context, name string, data []byte) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("archive %s: %w", s, err)
	}
	opts := minio.PutObjectOptions{ContentType: "application/octet-stream", DisableMultipart: true, SendContentMd5: true}
	opts.SetMatchETagExcept("*")
	_, err := s.client.PutObject(ctx, s.opts.Bucket, s.key(name), bytes.NewReader(data), int64(len(data)), opts)
	if code := minio.ToErrorResponse(err).Code; code == "PreconditionFailed" {
		err = ErrExists
	}
	if err != nil {
		return fmt.Errorf("archive %s: put %s: %w", s, name, err)
	}
	return nil
}

// Get implements Target.
func (s *S3) Get(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	data, err := s.get(ctx, name, offset, length)
	if code := minio.ToErrorResponse(err).Code; code == "NoSuchKey" {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("archive %s: get %s: %w", s, name, err)
	}
	return data, nil
}

func (s *S3) get(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if length == 0 {
		return nil, nil
	}
	var opts minio.GetObjectOptions
	if offset > 0 || length > 0 {
		last := int64(0) // to the end
		if length > 0 {
			last = offset + length - 1
		}
		if err := opts.SetRange(offset, last); err != nil {
			return nil, err
		}
	}
	body, err := s.client.GetObject(ctx, s.opts.Bucket, s.key(name), opts)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if length < 0 {
		return io.ReadAll(body)
	}
	data := make([]byte, length)
	if _, err := io.ReadFull(body, data); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return data, nil
}

// List implements Target.
func (s *S3) List(ctx context.Context, prefix string) ([]Info, error) {
	var list []Info
	base := ""
	if s.opts.Prefix != "" {
		base = s.opts.Prefix + "/"
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for o := range s.client.ListObjects(ctx, s.opts.Bucket, minio.ListObjectsOptions{Prefix: base + prefix, Recursive: true}) {
		if o.Err != nil {
			return nil, fmt.Errorf("archive %s: list %s: %w", s, prefix, o.Err)
		}
		list = append(list, Info{Name: strings.TrimPrefix(o.Key, base), Size: o.Size})
	}
	slices.SortFunc(list, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Delete implements Target.
func (s *S3) Delete(ctx context.Context, name string) error {
	if err := s.client.RemoveObject(ctx, s.opts.Bucket, s.key(name), minio.RemoveObjectOptions{}); err != nil {
		return fmt.Errorf("archive %s: delete %s: %w", s, name, err)
	}
	return nil
}
