// Command angarium is the server: it opens a data directory, serves IMAP, LMTP, socketmap and HTTP over it, and takes orders on
// the control socket. This package only wires the parts together.
package main
