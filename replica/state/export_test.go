package state

import "angarium/eventlog/event"

// Keys and codecs, for the tests that damage rows by hand.
func KeyTotals() []byte                                     { return keyTotals }
func KeyAccount(name string) []byte                         { return keyAccount(name) }
func KeyMailbox(id event.MailboxID) []byte                  { return keyMailbox(id) }
func KeyName(account, name string) []byte                   { return keyNamed(tableName, account, name) }
func KeySubscription(account, name string) []byte           { return keyNamed(tableSubscription, account, name) }
func KeyPage(id event.MailboxID, n uint32) []byte           { return keyOf(tablePage, id, n) }
func KeyMessage(id event.MailboxID, uid uint32) []byte      { return keyOf(tableMessage, id, uid) }
func KeyTombstone(id event.MailboxID, modseq uint64) []byte { return keyTombstone(id, modseq) }
func KeyBody(guid event.GUID) []byte                        { return keyBody(tableBody, guid) }
func EncodePage(p Page) []byte                              { return encodePage(nil, p) }
func DecodePage(n uint32, b []byte) (Page, error)           { return decodePage(n, b) }
func EncodeMessage(m *Message) []byte                       { return encodeMessage(nil, m) }
func DecodeMessage(uid uint32, b []byte) (Message, error)   { return decodeMessage(uid, b) }
func DigestFixed(m *Message) uint64                         { return digestFixed(m) }
func DigestLive(l Live) uint64                              { return digestLive(l) }
func EncodeRow(row any) ([]byte, error)                     { return rowEnc.Marshal(row) }
func DecodeRow[T any](b []byte) (*T, error)                 { return decodeRow[T](nil, b) }
