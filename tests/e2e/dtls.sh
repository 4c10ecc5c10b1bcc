#!/bin/bash
# TURN over DTLS (RFC 7350): coturn's client relays without losing a message, over both address families.
. "$(dirname "$0")/lab_session.bash"
lab_session_start

lab exec peer -- turnutils_peer -L "$PEER_HOST" -L "$PEER_HOST6" >/dev/null 2>&1 &
sleep 0.3

# uclient NAME CLIENTS ARGUMENTS…: every message must come back. The client always exits 0, so its output is judged.
uclient() {
	local name=$1 clients=$2 out=$scratch/uclient
	shift 2
	timeout 90 "$root/deploy/lab" --instance "$instance" exec client -- turnutils_uclient -S -p "$TURN_PORT" -n 100 \
		-m "$clients" -u "$TURN_USER" -w "$TURN_PASS" "$@" >"$out" 2>&1 || true
	grep -q "start_mclient: tot_send_msgs=$((clients * 100)), tot_recv_msgs=$((clients * 100))" "$out" &&
		grep -q 'Total lost packets 0 (0.000000%)' "$out" || die "$name: $(tail -n 25 "$out")"
	passed "$name: $((clients * 100)) messages came back"
}

uclient "channels" 2 -c -e "$PEER_HOST" "$TURN_HOST"
uclient "send indications" 2 -c -s -e "$PEER_HOST" "$TURN_HOST"
uclient "IPv6" 2 -c -x -e "$PEER_HOST6" "$TURN_HOST6"
uclient "messages of 1200 bytes" 2 -c -l 1200 -e "$PEER_HOST" "$TURN_HOST"
uclient "client to client" 4 -c -y "$TURN_HOST"
uclient "pairs of ports" 4 -e "$PEER_HOST" "$TURN_HOST"
uclient "at once" 20 -c -e "$PEER_HOST" "$TURN_HOST"
