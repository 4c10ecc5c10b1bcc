#!/bin/bash
# A watcher that may use nothing but the relay sees the same call, also over TCP and over TLS on 443: its packets go from the SFU into
# the relay without leaving the box.
. "$(dirname "$0")/lab_session.bash"
. "$(dirname "$0")/sfu_session.bash"
lab_session_start
spki=$(openssl x509 -in "$TURN_CA" -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64)
drive_start "--ignore-certificate-errors-spki-list=$spki"
open_page publisher client
open_page watcher peer

publish publisher relayed alice '"codec": "vp8", "size": [640, 360, 15]'
watch watcher relayed "\"relayOnly\": true, \"iceServers\": [{\"urls\": [\"turn:$TURN_HOST:$TURN_PORT?transport=udp\"], \"username\": \"$TURN_USER\", \"credential\": \"$TURN_PASS\"}]"
sleep 2
look watcher
[[ $(jq -r .localType <<<"$answer") == relay ]] || die "not relayed: $answer"
sleep 5
look watcher
n=$(since watcher "[\$is, \$was] | map($video | .framesDecoded) | .[0] - .[1]")
((n >= 60)) || die "$n frames in 5 s through the relay: $answer"
passed "through the relay: $n frames in 5 s"
fused=$(ctl --json stats | jq '[.. | objects | .sfu_fused? // empty] | add // 0')
((fused > 100)) || die "the fused path's counter stands at $fused: $(ctl --json stats | head -c 3000)"
passed "$fused packets went from the SFU to the relay inside"

# Behind a firewall that lets no UDP out: publisher and watcher reach the SFU through their allocations over TCP.
ask publisher close
ask watcher close
for host in client peer; do
	lab exec "$host" -- nft -f - <<-'NFT'
	table inet firewall {
		chain out {
			type filter hook output priority 0; policy accept;
			oif lo accept
			meta l4proto udp counter drop
		}
	}
	NFT
done
relay="\"relayOnly\": true, \"iceServers\": [{\"urls\": [\"turn:$TURN_HOST:$TURN_PORT?transport=tcp\"], \"username\": \"$TURN_USER\", \"credential\": \"$TURN_PASS\"}]"
open_page publisher client
open_page watcher peer
publish publisher streamed bob "\"codec\": \"vp8\", \"size\": [640, 360, 15], $relay"
before=$(ctl --json stats | jq '[.. | objects | .sfu_fused? // empty] | add // 0')
watch watcher streamed "${relay/turn:$TURN_HOST:$TURN_PORT/turns:$TURN_HOST:443}"
sleep 2
look watcher
sleep 5
look watcher
n=$(since watcher "[\$is, \$was] | map($video | .framesDecoded) | .[0] - .[1]")
((n >= 60)) || die "$n frames in 5 s over TCP and TLS: $answer"
[[ $(jq -r .localType <<<"$answer") == relay ]] || die "not relayed: $answer"
passed "published over TCP and watched over TLS on 443, without UDP: $n frames in 5 s, relay protocol $(jq -r .relayProtocol <<<"$answer")"
fused=$(($(ctl --json stats | jq '[.. | objects | .sfu_fused? // empty] | add // 0') - before))
((fused > 100)) || die "the fused path's counter moved by $fused: $(ctl --json stats | head -c 3000)"
passed "$fused packets more went between SFU and relay inside"
for counter in stream_in stream_out; do
	messages=$(ctl --json stats | jq "[.. | objects | .$counter? // empty] | add // 0")
	((messages > 100)) || die "$counter stands at $messages: $(ctl --json stats | head -c 3000)"
	passed "$counter: $messages messages"
done
drive_end
