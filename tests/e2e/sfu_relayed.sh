#!/bin/bash
# A watcher that may use nothing but the relay sees the same call: its packets go from the SFU into the relay without leaving
# the box.
. "$(dirname "$0")/lab_session.bash"
. "$(dirname "$0")/sfu_session.bash"
lab_session_start
drive_start
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
drive_end
