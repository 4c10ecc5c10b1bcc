#!/bin/bash
# coturn's client relays with access tokens (RFC 7635): it seals them itself, each with one of three keys, and changes the
# key with every Allocate and Refresh. What coturn's tool seals opens here, and what it must not open does not.
. "$(dirname "$0")/lab_session.bash"
lab_session_start

config=$run_dir/turnpike.yaml
[[ -f $config ]] || config=$(find "$run_dir" -name '*.yaml' | head -n 1)
cat >>"$config" <<'YAML'
oauth:
  server_name: turn.lab
  keys:
    - {kid: north, key: MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEK}
    - {kid: union, key: MTIzNDU2Nzg5MDEyMzQ1Ngo=, algorithm: A128GCM}
    - {kid: oldempire, key: MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIK}
YAML
ctl reload >/dev/null || die "the reload failed"
lab exec peer -- turnutils_peer -L "$PEER_HOST" >/dev/null 2>&1 &
sleep 0.3

lab exec client -- timeout 60 turnutils_uclient -J -c -u nobody -w none -n 50 -m 2 -e "$PEER_HOST" "$TURN_HOST" \
	>"$scratch/uclient" 2>&1 || true
grep -q 'Total lost packets 0 (0.000000%)' "$scratch/uclient" &&
	grep -q 'tot_send_msgs=100, tot_recv_msgs=100' "$scratch/uclient" || die "$(tail -n 20 "$scratch/uclient")"
passed "coturn's client relays with access tokens"
answer=$(ctl --json stats)
jq -e '[.. | objects | .clients_by_access_token? // empty] | add > 0' <<<"$answer" >/dev/null ||
	die "no client was counted: $answer"
passed "and is counted as such"
