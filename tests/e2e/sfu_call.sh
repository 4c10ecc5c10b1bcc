#!/bin/bash
# One publisher, three watchers, real browsers: VP8 simulcast, then each other codec. Frames arrive, nothing freezes.
. "$(dirname "$0")/lab_session.bash"
. "$(dirname "$0")/sfu_session.bash"
seconds=${SFU_CALL_SECONDS:-30}
lab_session_start
drive_start

open_page publisher client
for i in 1 2 3; do
	open_page "watcher$i" peer
done

# call NAME SECONDS WATCHERS JSON-FIELDS: a room of its own.
call() {
	local name=$1 lasts=$2 n=$3 fields=$4 sent decoded fault i
	publish publisher "$name" alice "$fields"
	for ((i = 1; i <= n; i++)); do
		watch "watcher$i" "$name"
	done
	# The first second has the start of the pictures; what counts begins behind it.
	sleep 2
	# Encoder, decoders and relay share few cores with whatever else runs: what disturbs one window does not disturb two.
	if ! window "$name" "$lasts" "$n"; then
		echo "# $name: once more: $fault"
		window "$name" "$lasts" "$n" || die "$name: $fault"
	fi
	passed "$name: $sent frames sent, $decoded decoded by the last of $n watchers in $lasts s, $(jq -r "$video"' | "\(.codec) \(.width)x\(.height), \(.lost) packets lost"' <<<"${seen[watcher1]}"), $(jq -r .srtpCipher <<<"${seen[watcher1]}")"
	for ((i = 1; i <= n; i++)); do ask "watcher$i" leave; done
	ask publisher leave
}

# window NAME SECONDS WATCHERS: false with `fault` when somebody missed something.
window() {
	local lasts=$2 n=$3 i
	look publisher
	for ((i = 1; i <= n; i++)); do look "watcher$i"; done
	sleep "$lasts"
	look publisher
	for ((i = 1; i <= n; i++)); do look "watcher$i"; done
	sent=$(since publisher "[\$is, \$was] | map($pictures_sent) | .[0] - .[1]")
	for ((i = 1; i <= n; i++)); do
		decoded=$(since "watcher$i" '[($is, $was) | [.inbound[] | select(.kind == "video") | .framesDecoded] | max] | .[0] - .[1]')
		since "watcher$i" '[$was, $is] | map('"$video"' | .freezes) | .[0] == .[1]' | grep -q true ||
			{ fault="watcher $i saw a freeze: ${seen[watcher$i]}" && return 1; }
		((sent > 5 * lasts && decoded * 100 >= sent * 95)) ||
			{ fault="watcher $i decoded $decoded of $sent frames: ${seen[watcher$i]}; publisher: ${seen[publisher]}" && return 1; }
		since "watcher$i" '[$was, $is] | map([.inbound[] | select(.kind == "audio") | .energy] | add) | .[1] > .[0]' |
			grep -q true || { fault="watcher $i hears nothing: ${seen[watcher$i]}" && return 1; }
	done
}

call vp8_simulcast "$seconds" 3 '"codec": "vp8", "simulcast": true, "size": [960, 540, 15]'
[[ $(since publisher '[$is.outbound[] | select(.kind == "video" and .framesSent > 0)] | length') -ge 2 ]] ||
	die "fewer than two layers were sent: ${seen[publisher]}"
call h264 10 3 '"codec": "h264"'
call vp9_svc 10 3 '"codec": "vp9", "scalabilityMode": "L3T3_KEY"'
call av1 10 3 '"codec": "av1"'
drive_end
