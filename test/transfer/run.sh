#!/usr/bin/env bash
# Moves an account from a real Dovecot, and from a Cyrus where there is one, and has mbsync notice nothing: run.sh [MESSAGES].
# Needs dovecot-imapd, isync and python3, optionally cyrus-imapd; runs as root, for the peers change their user.
set -euo pipefail
cd "$(dirname "$0")/../.."
messages=${1:-1000}
dir=$(mktemp -d /tmp/angarium-transfer.XXXXXX)
chmod 755 "$dir"
dport=$((20000 + RANDOM % 5000)) aport=$((25000 + RANDOM % 5000)) cport=$((30000 + RANDOM % 2000))
pids=()
finish() {
	code=$?
	[ -s "$dir/peer/master.pid" ] && kill "$(cat "$dir/peer/master.pid")" 2>/dev/null || true
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
	wait 2>/dev/null || true
	if [ $code = 0 ]; then rm -rf "$dir"; else echo "FAILED, see $dir" >&2; fi
	exit $code
}
trap finish EXIT

bin=${BIN:-}
if [ -z "$bin" ]; then bin=$dir/bin go build -o "$dir/" ./cmd/angarium ./syncctlgo build -o "$dir/" ./cmd/angarium ./syncctl mkdir "$bin" && go build -o "$bin/" ./cmd/angarium ./syncctl; fi
export PATH="$bin:$PATH"

# mailuser owns the mail of the peer.
mailuser=${MAILUSER:-mail}
mkdir -p "$dir/peer/mail"
chown -R "$mailuser:" "$dir/peer/mail"
cat >"$dir/peer/dovecot.conf" <<C
base_dir = $dir/peer/run
state_dir = $dir/peer/state
log_path = $dir/peer/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_format = %Ln
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
passdb {
  driver = static
  args = password=master
  master = yes
  result_success = continue
}
passdb {
  driver = static
  args = password=pass
}
userdb {
  driver = static
  args = uid=$mailuser gid=$mailuser home=$dir/peer/mail/%Ln allow_all_users=yes
}
namespace inbox {
  inbox = yes
  separator = .
  mailbox Sent {
    special_use = \Sent
    auto = subscribe
  }
}
service imap-login {
  inet_listener imap {
    port = $dport
  }
  inet_listener imaps {
    port = 0
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
C
mkdir -p "$dir/peer/run"
dovecot -c "$dir/peer/dovecot.conf" </dev/null
for _ in $(seq 100); do [ -s "$dir/peer/run/master.pid" ] && break; sleep 0.1; done
cp "$dir/peer/run/master.pid" "$dir/peer/master.pid"

fill() { python3 test/transfer/imap.py fill "$@"; }
state() { python3 test/transfer/imap.py state "$@"; }

fill 127.0.0.1 "$dport" ann pass . "$messages"

mkdir -p "$dir/client"
config() { # port user password
	cat <<C
IMAPAccount server
Host 127.0.0.1
Port $1
User $2
Pass $3
SSLType None
AuthMechs LOGIN

IMAPStore far
Account server

MaildirStore near
Path $dir/client/$4/
Inbox $dir/client/$4/Inbox
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Expunge None
SyncState *
C
}
sync() { # port user password name: prints what was moved
	config "$1" "$2" "$3" "$4" >"$dir/mbsyncrc"
	mkdir -p "$dir/client/$4"
	mbsync -c "$dir/mbsyncrc" -V all >"$dir/mbsync.$4" 2>&1 || { cat "$dir/mbsync.$4" >&2; return 1; }
}
inventory() { (cd "$dir/client/$1" && find . -type f -not -name '.mbsyncstate*' -not -name '.uidvalidity' | sort); }

serve() {
	setsid angarium serve --data "$dir/data" --imap "127.0.0.1:$aport" </dev/null >"$dir/serve.out" 2>"$dir/serve.log" &
	pids+=($!)
	for _ in $(seq 300); do grep -q ready "$dir/serve.out" 2>/dev/null && return; sleep 0.2; done
	echo "no server" >&2
	return 1
}

same() { # name far-port far-user far-password separator account
	state 127.0.0.1 "$2" "$3" "$4" "$5" >"$dir/state.before"
	state 127.0.0.1 "$aport" "$6" pw / >"$dir/state.after"
	diff "$dir/state.before" "$dir/state.after"
	echo "$1: $(grep -c '^ ' "$dir/state.after") messages in $(grep -c '^UIDVALIDITY' "$dir/state.after") mailboxes have the numbers, flags and dates they had"
}

serve
sync "$dport" ann pass dovecot
inventory dovecot >"$dir/inventory.before"
printf 'ann,,ann,pw\n' >"$dir/accounts.csv"
echo master | syncctl --data "$dir/data" import dovecot "127.0.0.1:$dport" --tls none --auth-user master --password-stdin --accounts "$dir/accounts.csv" --json
same dovecot "$dport" ann pass . ann
sed 's/^/  /' "$dir/serve.log" | tail -3

# The client, which has a cache, finds nothing to do.
sync "$aport" ann pw dovecot
inventory dovecot >"$dir/inventory.after"
diff "$dir/inventory.before" "$dir/inventory.after"
if grep -Eq '(Far|Near): (\+[1-9]|.*[*#-][1-9])' "$dir/mbsync.dovecot"; then cat "$dir/mbsync.dovecot"; exit 1; fi
echo "mbsync moved nothing"

# A second run moves what is new only, and with --delete expunges what was expunged there.
fill 127.0.0.1 "$dport" ann pass . 10
echo master | syncctl --data "$dir/data" import dovecot "127.0.0.1:$dport" --tls none --auth-user master --password-stdin --accounts "$dir/accounts.csv" --delete
same "second run" "$dport" ann pass . ann

# Out again, into a Maildir and an archive, and back under another name with the same numbers.
for format in maildir archive; do
	syncctl --data "$dir/data" export $format "$dir/out-$format" --account ann
	printf '%s,,%s,pw\n' "$dir/out-$format" "$format" >"$dir/accounts.back"
	syncctl --data "$dir/data" import $format --keep-uids --accounts "$dir/accounts.back"
	state 127.0.0.1 "$aport" "$format" pw / >"$dir/state.back"
	diff "$dir/state.after" "$dir/state.back"
	echo "$format: comes back with its numbers"
done

# Dovecot's own Maildir, without a server.
printf '%s,,files,pw\n' "$dir/peer/mail/ann/Maildir" >"$dir/accounts.files"
syncctl --data "$dir/data" import maildir --keep-uids --accounts "$dir/accounts.files"
state 127.0.0.1 "$aport" files pw / >"$dir/state.files"
diff "$dir/state.after" "$dir/state.files"
echo "Dovecot's Maildir has the numbers of its server"

if [ -n "${CYRUS_SH:-}" ]; then # a script that starts a Cyrus: CYRUS_SH DIR start, on port CYRUS_IMAP
	CYRUS_IMAP=$cport CYRUS_LMTP=$((cport + 1)) bash "$CYRUS_SH" "$dir/cyrus" start >/dev/null
	trap 'CYRUS_IMAP=$cport bash "$CYRUS_SH" "$dir/cyrus" stop; finish' EXIT
	for _ in $(seq 100); do python3 test/transfer/imap.py ready 127.0.0.1 "$cport" && break; sleep 0.2; done
	fill 127.0.0.1 "$cport" bob pass / 200
	sync "$cport" bob pass cyrus
	printf 'bob,,bob,pw\n' >"$dir/accounts.csv"
	echo pass | syncctl --data "$dir/data" import cyrus "127.0.0.1:$cport" --tls none --auth-user cyrus --password-stdin --accounts "$dir/accounts.csv" --json
	same cyrus "$cport" bob pass / bob
fi
echo ok
