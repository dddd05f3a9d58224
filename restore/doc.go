// Package restore brings mail back: it compares what an account was at a point of its history with what it is, plans what would make the
// one of the other, and carries the plan out through package mailstore, as any client's changes are. History is never rewritten, the
// store never stops, and a restore can be undone by another.
//
// A restore goes in three steps. A History, the log of the shard or its archive or both, is folded up to the point for one account into
// a scratch state, with the very code that replicas apply events with. A Plan is what has to be done, with the events that it undoes and
// who was behind them. Apply does it. Planning again afterwards gives an empty plan: messages that came back, which have new UIDs, are
// known by their GUID.
//
// Besides, List tells what happened to an account, a mailbox or a message, and PlanRecall finds one message in all mailboxes to take it out.
//
// The package imports eventlog, eventlog/archive, replica/state, message and mailstore.
package restore
