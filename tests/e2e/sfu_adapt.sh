#!/bin/bash
# A watcher whose line falls to 400 kb/s gets a lower layer within 3 s, without a decoder error, and the high one again within
# 10 s of the release. The other watcher is not touched.
. "$(dirname "$0")/lab_session.bash"
. "$(dirname "$0")/sfu_session.bash"
lab_session_start
drive_start
open_page publisher client
open_page free client
open_page narrow peer

publish publisher adapt alice '"codec": "vp8", "simulcast": true, "size": [960, 540, 15]'
watch free adapt
watch narrow adapt

height_of() {
	look "$1"
	jq "$video | .height // 0" <<<"$answer"
}
# until_height PAGE OPERATOR HEIGHT SECONDS: sets `took_ms`.
until_height() {
	local began_ms h
	began_ms=$(date +%s%3N)
	while :; do
		look "$1"
		h=$(jq "$video | .height // 0" <<<"$answer")
		took_ms=$(($(date +%s%3N) - began_ms))
		(($h $2 $3)) && return
		((took_ms < $4 * 1000)) || die "$1: height is $h after $took_ms ms, wanted $2 $3: $answer; $(ctl why --json 2>/dev/null | head -c 2000)"
		sleep 0.1
	done
}
until_height narrow '>=' 540 15
until_height free '>=' 540 15
passed "both watchers get the high layer"

look free
look narrow
throttle peer 400
until_height narrow '<' 540 3
passed "the throttled watcher dropped to a lower layer after $took_ms ms"
sleep 5
look narrow
[[ $(since narrow "[\$is, \$was] | map($video | .framesDecoded) | .[0] - .[1]") -gt 20 ]] ||
	die "the throttled watcher does not get a picture: $answer"
throttle peer 0
until_height narrow '>=' 540 10
passed "and had the high one $took_ms ms after the release"
look free
[[ $(since free "[\$is, \$was] | map($video | .freezes) | .[0] - .[1]") -eq 0 ]] || die "the other watcher saw a freeze"
[[ $(jq "$video | .height" <<<"$answer") -ge 540 ]] || die "the other watcher lost its layer"
passed "the other watcher was not touched"
drive_end
