package main

// section is a table of the report.
type section struct {
	title string
	only  string // the one label of this table; empty: all servers beside each other
	rows  []row
}

// row is one number of one case.
type row struct{ title, unit, cas, key string }

// sections are the tables of the report, in their order.
var sections = []section{
	{title: "Delivery (LMTP)", rows: []row{
		{"1 connection", "msg/s", "lmtp-1conn", "msg_s"},
		{"1 connection", "p50 ms", "lmtp-1conn", "p50_ms"},
		{"1 connection", "p99 ms", "lmtp-1conn", "p99_ms"},
		{"1 connection", "server CPU s", "lmtp-1conn", "server_cpu_s"},
		{"8 connections", "msg/s", "lmtp-8conn", "msg_s"},
		{"8 connections", "MB/s", "lmtp-8conn", "mb_s"},
		{"8 connections", "p50 ms", "lmtp-8conn", "p50_ms"},
		{"8 connections", "p99 ms", "lmtp-8conn", "p99_ms"},
		{"8 connections", "server CPU s", "lmtp-8conn", "server_cpu_s"},
		{"50 recipients, 2 connections", "deliveries/s", "lmtp-50rcpt", "deliveries_s"},
		{"50 recipients, 2 connections", "p50 ms", "lmtp-50rcpt", "p50_ms"},
		{"50 recipients, 2 connections", "server CPU s", "lmtp-50rcpt", "server_cpu_s"},
	}},
	{title: "Notification of 500 idling sessions", rows: []row{
		{"250 to `* EXISTS`", "p50 ms", "idle500", "ack_to_exists_p50_ms"},
		{"250 to `* EXISTS`", "p99 ms", "idle500", "ack_to_exists_p99_ms"},
		{"MAIL FROM to `* EXISTS`", "p50 ms", "idle500", "send_to_exists_p50_ms"},
		{"MAIL FROM to `* EXISTS`", "p99 ms", "idle500", "send_to_exists_p99_ms"},
		{"memory per session", "KiB", "idle500", "pss_kib_per_conn"},
		{"memory of the server", "MiB", "idle500", "pss_mib"},
		{"login, SELECT, IDLE", "/s", "idle500", "login_idle_s"},
	}},
	{title: "APPEND and mixed use", rows: []row{
		{"synchronizing literal", "msg/s", "append-sync", "msg_s"},
		{"LITERAL+", "msg/s", "append-plus", "msg_s"},
		{"LITERAL+", "p99 ms", "append-plus", "p99_ms"},
		{"MULTIAPPEND of 50", "msg/s", "append-multi50", "msg_s"},
		{"8 connections, 8 users", "msg/s", "append-8conn", "msg_s"},
		{"mixed users", "sessions/s", "mixed", "sessions_s"},
		{"mixed users", "p50 ms", "mixed", "session_p50_ms"},
		{"mixed users", "p99 ms", "mixed", "session_p99_ms"},
		{"mixed users, 10 s", "server CPU s", "mixed", "server_cpu_s"},
	}},
	{title: "1000 mailboxes", rows: []row{
		{"CREATE", "/s", "mboxops1000", "create_s"},
		{"RENAME", "/s", "mboxops1000", "rename_s"},
		{"DELETE", "/s", "mboxops1000", "delete_s"},
		{"STATUS", "/s", "mboxops1000", "status_s"},
		{"LIST of all", "ms", "mboxops1000", "list_ms"},
		{"LIST-STATUS of all", "ms", "mboxops1000", "list_status_ms"},
	}},
	{title: "Mailbox of 10,000 messages, 399 MB", rows: []row{
		{"fill, MULTIAPPEND of 50", "msg/s", "fill10k", "msg_s"},
		{"ENVELOPE and BODYSTRUCTURE of all, first", "s", "headers10k", "envelope_first_s"},
		{"ENVELOPE and BODYSTRUCTURE of all", "s", "headers10k", "envelope_s"},
		{"HEADER.FIELDS of all, first", "s", "headers10k", "hdrfields_first_s"},
		{"HEADER.FIELDS of all", "s", "headers10k", "hdrfields_s"},
		{"FLAGS of all", "s", "headers10k", "flags_s"},
		{"all bodies", "MB/s", "bodies10k", "mb_s"},
		{"single bodies", "/s", "bodies10k", "single_s"},
		{"single bodies", "p50 ms", "bodies10k", "single_p50_ms"},
		{"STORE one by one", "/s", "flags10k", "single_ops_s"},
		{"STORE pipelined", "/s", "flags10k", "pipelined_ops_s"},
		{"STORE 1:*", "s", "flags10k", "range_s"},
		{"SEARCH UNSEEN", "ms", "search10k", "unseen_ms"},
		{"SEARCH SINCE", "ms", "search10k", "since_ms"},
		{"SEARCH LARGER", "ms", "search10k", "larger_ms"},
		{"SEARCH SUBJECT", "ms", "search10k", "subject_ms"},
		{"SEARCH FROM", "ms", "search10k", "from_ms"},
		{"SEARCH HEADER, first", "ms", "search10k", "header_first_ms"},
		{"SEARCH BODY", "ms", "search10k", "body_ms"},
		{"SEARCH TEXT", "ms", "search10k", "text_ms"},
		{"SORT DATE", "ms", "search10k", "sort_date_ms"},
		{"SORT SUBJECT", "ms", "search10k", "sort_subject_ms"},
		{"THREAD REFERENCES", "ms", "search10k", "thread_references_ms"},
	}},
	{title: "Mailbox of 100,000 small messages", rows: []row{
		{"fill, MULTIAPPEND of 100", "msg/s", "fill100k", "msg_s"},
		{"ENVELOPE and BODYSTRUCTURE of all, first", "s", "headers100k", "envelope_first_s"},
		{"ENVELOPE and BODYSTRUCTURE of all", "s", "headers100k", "envelope_s"},
		{"HEADER.FIELDS of all", "s", "headers100k", "hdrfields_s"},
		{"FLAGS of all", "s", "headers100k", "flags_s"},
		{"SELECT", "p50 ms", "select100k", "p50_ms"},
		{"STORE one by one", "/s", "flags100k", "single_ops_s"},
		{"STORE 1:*", "s", "flags100k", "range_s"},
		{"QRESYNC SELECT, 80 changed and 20 expunged", "p50 ms", "resync100k", "qresync_select_ms"},
		{"FETCH CHANGEDSINCE", "p50 ms", "resync100k", "changedsince_ms"},
		{"start to SELECT, after a clean stop", "ms", "startup", "clean_imap_ms"},
		{"start to SELECT, after SIGKILL", "ms", "startup", "killed_imap_ms"},
	}},
	{title: "Angarium: replay and restart", only: "angarium", rows: []row{
		{"replay of delivered mail, 10 KiB median", "events/s", "replay", "events_s"},
		{"replay of the store with many messages", "events/s", "million-replay", "events_s"},
		{"deliveries while that store was filled", "/s", "million-fill", "deliveries_s"},
		{"messages in that store", "", "million-startup", "messages"},
		{"its start to SELECT, after a clean stop", "ms", "million-startup", "clean_imap_ms"},
		{"its start to SELECT, after SIGKILL", "ms", "million-startup", "killed_imap_ms"},
		{"its start to the LMTP greeting, after SIGKILL", "ms", "million-startup", "killed_lmtp_ms"},
	}},
	{title: "Angarium: Go benchmarks", only: "angarium", rows: []row{
		{"log: append of 2 KiB events, 64 writers", "events/s", "go/Append2KiB64Writers", "events/s"},
		{"fdatasyncs of 4 KiB on the same disk", "/s", "go/Append2KiB64Writers", "fdatasyncs/s"},
		{"events per fdatasync that the disk could do", "", "go/Append2KiB64Writers", "events/fdatasync"},
		{"events per envelope", "", "go/Append2KiB64Writers", "events/envelope"},
		{"log: read back, verified and decoded", "events/s", "go/Replay2KiB", "events/s"},
		{"replica: replay of mail into a durable index", "events/s", "go/Replay", "events/s"},
		{"lmtpd: 38 KiB message, protocol alone, 8 connections", "MB/s", "go/Delivery/protocol-8", "MB/s"},
		{"lmtpd: 38 KiB message into a store in memory", "MB/s", "go/Delivery/store", "MB/s"},
		{"imapd: FETCH 1:* (FLAGS) of 10,000", "ms", "go/Selected/FETCH_1:*_(FLAGS)", "ms/op"},
		{"imapd: FETCH 1:* (ENVELOPE) of 10,000", "ms", "go/Selected/FETCH_1:*_(ENVELOPE)", "ms/op"},
		{"imapd: UID FETCH 1:* (BODY.PEEK[]) of 10,000", "ms", "go/Selected/UID_FETCH_1:*_(BODY.PEEK[])", "ms/op"},
	}},
	{title: "Disk", only: "disk", rows: []row{
		{"append of 4 KiB and fdatasync", "/s", "syncrate", "syncs_s"},
		{"append of 4 KiB and fdatasync", "p50 ms", "syncrate", "p50_ms"},
		{"append of 4 KiB and fdatasync", "p99 ms", "syncrate", "p99_ms"},
	}},
}
