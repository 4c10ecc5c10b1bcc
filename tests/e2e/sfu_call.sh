#!/bin/bash
# One publisher, three watchers, real browsers: VP8 simulcast, then each other codec, then with Firefox among the watchers.
# Frames arrive, nothing freezes.
. "$(dirname "$0")/lab_session.bash"
. "$(dirname "$0")/sfu_session.bash"
seconds=${SFU_CALL_SECONDS:-30}
lab_session_start
drive_start

open_page publisher client
for i in 1 2 3; do
	open_page "watcher$i" peer
done

# call NAME SECONDS "WATCHERS" JSON-FIELDS: a room of its own.
call() {
	local name=$1 lasts=$2 watchers=$3 fields=$4 sent decoded fault page
	publish publisher "$name" alice "$fields"
	for page in $watchers; do
		if [[ $page == firefox ]]; then watch_plain "$page" "$name"; else watch "$page" "$name"; fi
	done
	# The first second has the start of the pictures; what counts begins behind it.
	sleep 2
	# Encoder, decoders and relay share few cores with whatever else runs: what disturbs one window does not disturb two.
	if ! window "$lasts" "$watchers"; then
		echo "# $name: once more: $fault"
		window "$lasts" "$watchers" || die "$name: $fault"
	fi
	passed "$name: $sent frames sent, $decoded decoded by the last of $watchers in $lasts s, $(jq -r "$video"' | "\(.codec) \(.width)x\(.height), \(.lost) packets lost"' <<<"${seen[$page]}"), $(jq -r .srtpCipher <<<"${seen[$page]}")"
	for page in $watchers; do ask "$page" leave; done
	ask publisher leave
}

# window SECONDS "WATCHERS": false with `fault` when somebody missed something.
window() {
	local lasts=$1 watchers=$2 page
	look publisher
	for page in $watchers; do look "$page"; done
	sleep "$lasts"
	look publisher
	for page in $watchers; do look "$page"; done
	sent=$(since publisher "[\$is, \$was] | map($pictures_sent) | .[0] - .[1]")
	for page in $watchers; do
		decoded=$(since "$page" '[($is, $was) | [.inbound[] | select(.kind == "video") | .framesDecoded] | max] | .[0] - .[1]')
		since "$page" '[$was, $is] | map('"$video"' | .freezes) | .[0] == .[1]' | grep -q true ||
			{ fault="$page saw a freeze: ${seen[$page]}" && return 1; }
		((sent > 5 * lasts && decoded * 100 >= sent * 95)) ||
			{ fault="$page decoded $decoded of $sent frames: ${seen[$page]}; publisher: ${seen[publisher]}" && return 1; }
		since "$page" '[$was, $is] | map([.inbound[] | select(.kind == "audio") | .energy] | add) | .[1] > .[0]' |
			grep -q true || { fault="$page hears nothing: ${seen[$page]}" && return 1; }
	done
}

three='watcher1 watcher2 watcher3'
call vp8_simulcast "$seconds" "$three" '"codec": "vp8", "simulcast": true, "size": [960, 540, 15]'
[[ $(since publisher '[$is.outbound[] | select(.kind == "video" and .framesSent > 0)] | length') -ge 2 ]] ||
	die "fewer than two layers were sent: ${seen[publisher]}"
call h264 10 "$three" '"codec": "h264"'
call vp9_svc 10 "$three" '"codec": "vp9", "scalabilityMode": "L3T3_KEY"'
call av1 10 "$three" '"codec": "av1"'
for page in watcher2 watcher3; do ask "$page" close; done
open_firefox firefox peer
call firefox_vp8 10 'watcher1 firefox' '"codec": "vp8", "simulcast": true, "size": [960, 540, 15]'
call firefox_vp9 10 'watcher1 firefox' '"codec": "vp9"'
drive_end
