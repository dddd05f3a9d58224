// Package auth decides who a client is: password verifiers, the SASL mechanisms of the server side, the throttling of
// guesses, and the one spelling of an account name.
//
// The main path is Authenticator: New, then CheckPassword (IMAP LOGIN) or SASLServer (AUTHENTICATE, SMTP AUTH). Both look
// the account up, wait as long as the Throttle says, check the credential and report an Identity.
//
// It may import the standard library, xdg-go/scram, xdg-go/stringprep, emersion/go-sasl and golang.org/x/text, and nothing
// of ours.
//
// It guarantees:
//   - passwords are neither stored nor logged, and no error text contains one;
//   - an unknown account, a malformed account name and a wrong password cost the same time and give the same error;
//   - that an account is disabled is told only to who knows its password;
//   - a failure of the account store is never reported as a wrong password (ErrUnavailable);
//   - no input panics, and every cache, table and queue has a bound named in its options.
package auth
