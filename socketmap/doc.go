// Package socketmap tells a mail transfer agent which recipients exist, over the socketmap protocol of Sendmail and Postfix
// (socketmap_table(5)), as Cyrus's smmapd does.
//
// A request is a netstring "<map> <key>", the key an address; the answer is a netstring too: "OK <key>" when lmtpd
// would take mail for it, "NOTFOUND " when not, "TEMP <reason>" when the store can't tell, and "PERM <reason>" for a request
// without a key or with a map that is not served. A connection carries any number of requests, one after the other or
// pipelined, and ends when the client closes its side (Exim waits for that), sends what is no netstring, or is silent for too
// long.
//
// With Postfix: virtual_mailbox_maps = socketmap:unix:/run/angarium/socketmap:mailboxes
//
// The package may import lmtpd/address, whose Resolver it shares with lmtpd, and mailstore for its errors. No input panics; the number of
// connections, the size of a request and the time for an answer are bounded by Options.
package socketmap
