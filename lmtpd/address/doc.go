// Package address reads the addresses of SMTP and LMTP envelopes and finds the account and mailbox that a recipient address
// stands for. lmtpd and socketmap share it, so that a recipient the one vouches for is one the other takes mail for.
//
// It may import internal/auth (account names) and mailstore (mailbox names, Recipient). No input panics, and no address it returns has
// control characters.
package address
