#!/bin/bash
# Headless Chromium calls itself through the relay: two RTCPeerConnections that may use nothing else.
. "$(dirname "$0")/lab_session.bash"
[[ -d $root/tests/e2e/browser/node_modules ]] || (cd "$root/tests/e2e/browser" && npm ci >/dev/null)
lab_session_start

# call NAME TURN_URL
call() {
	lab exec client -- timeout 80 node "$root/tests/e2e/browser/relay_call.mjs" \
		"$2" "$TURN_USER" "$TURN_PASS" 10 >"$scratch/call.json" || {
		cat "$scratch/call.json"
		die "$1: not the call it should be"
	}
	passed "$1: $(jq -r '[.caller, .callee] | map("\(.framesDecoded) frames, \(.audioPackets) audio packets") | join("; ")' "$scratch/call.json")"
}

call "IPv4" "turn:$TURN_HOST:$TURN_PORT?transport=udp"
call "IPv6 to the relay, IPv4 beyond" "turn:[$TURN_HOST6]:$TURN_PORT?transport=udp"
