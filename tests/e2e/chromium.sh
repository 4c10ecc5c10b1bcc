#!/bin/bash
# Headless Chromium calls itself through the relay: two RTCPeerConnections that may use nothing else.
. "$(dirname "$0")/lab_session.bash"
[[ -d $root/tests/e2e/browser/node_modules ]] || (cd "$root/tests/e2e/browser" && npm ci >/dev/null)
lab_session_start

# call NAME TURN_URL [CHROMIUM_ARGUMENT…]
call() {
	local name=$1 url=$2
	shift 2
	lab exec client -- timeout 80 node "$root/tests/e2e/browser/relay_call.mjs" \
		"$url" "$TURN_USER" "$TURN_PASS" 10 "$@" >"$scratch/call.json" || {
		cat "$scratch/call.json"
		die "$name: not the call it should be"
	}
	passed "$name: $(jq -r '[.caller, .callee] | map("\(.framesDecoded) frames, \(.audioPackets) audio packets") | join("; ")' "$scratch/call.json")"
}

call "IPv4" "turn:$TURN_HOST:$TURN_PORT?transport=udp"
call "IPv6 to the relay, IPv4 beyond" "turn:[$TURN_HOST6]:$TURN_PORT?transport=udp"
call "TCP" "turn:$TURN_HOST:$TURN_PORT?transport=tcp"

# A firewall that lets nothing out but TCP 443.
lab exec client -- nft -f - <<-'NFT'
table inet firewall {
	chain out {
		type filter hook output priority 0; policy drop;
		oif lo accept
		meta l4proto icmpv6 accept
		tcp dport 443 accept
		counter comment "kept in"
	}
}
NFT
spki=$(openssl x509 -in "$TURN_CA" -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64)
call "TLS on TCP 443, all else blocked" "turns:$TURN_HOST:443?transport=tcp" "--ignore-certificate-errors-spki-list=$spki"
[[ $(ctl --json stats | jq .streams.accepted_tls) -ge 2 ]] || die "the call did not come over TLS"
passed "its connections were TLS: $(ctl --json stats | jq .streams.accepted_tls) of them"
