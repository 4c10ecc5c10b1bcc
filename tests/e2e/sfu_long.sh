#!/bin/bash
# A call that outlives both processes, several times: SFU_LONG_SECONDS (40, or 600 for the figures in the README). In each
# fifth of it one process is killed, in turn; frames keep coming, and the longest time without one is told.
. "$(dirname "$0")/lab_session.bash"
. "$(dirname "$0")/sfu_session.bash"
seconds=${SFU_LONG_SECONDS:-40}
lab_session_start
drive_start
open_page publisher client
open_page watcher peer
publish publisher long alice '"codec": "vp8", "simulcast": true, "size": [960, 540, 15]'
watch watcher long
sleep 3

# part NAME SECONDS LONGEST-MS [PROCESS]: kills the process one second in.
part() {
	local frames longest
	send_ask watcher gaps "$2"
	if [[ -n ${4-} ]]; then
		sleep 1
		kill_running "$4"
	fi
	next_answer $(($2 + 20))
	frames=$(jq .frames <<<"$answer")
	longest=$(jq .longestMs <<<"$answer")
	((longest <= $3)) || die "$1: $longest ms without a frame ($frames frames in $2 s)"
	((frames * 100 >= $2 * 15 * 80)) || die "$1: $frames frames in $2 s"
	passed "$1: $frames frames in $2 s, the longest time without one $longest ms"
}

fifth=$((seconds / 5))
part 'nothing happens' "$fifth" 1000
part 'the control plane is killed' "$fifth" 1000 controlplane
part 'the dataplane is killed' "$fifth" 2500 dataplane
part 'the control plane is killed again' "$fifth" 1000 controlplane
part 'the dataplane is killed again' "$fifth" 2500 dataplane
look watcher
passed "after all: $(jq -r "$video"' | "\(.framesDecoded) frames decoded, \(.freezes) freezes of \(.freezeS) s in all"' <<<"$answer")"
ask watcher leave
[[ $answer == 200 ]] || die "DELETE of the watcher's session: $answer"
ask publisher leave
[[ $answer == 200 ]] || die "DELETE of the publisher's session: $answer"
drive_end
