#!/bin/bash
# Either process dies in a call. Media, ICE and repair outlive the control plane, which adopts the sessions; media resumes within
# a second of the dataplane's restart.
. "$(dirname "$0")/lab_session.bash"
. "$(dirname "$0")/sfu_session.bash"
lab_session_start
drive_start
open_page publisher client
open_page watcher peer
open_page late peer

publish publisher killed alice '"codec": "vp8", "simulcast": true, "size": [960, 540, 15]'
watch watcher killed
sleep 3

frames() {
	look watcher
	jq "$video | .framesDecoded // 0" <<<"$answer"
}
# frames_in SECONDS: sets `n`.
frames_in() {
	look watcher
	sleep "$1"
	look watcher
	n=$(since watcher "[\$is, \$was] | map($video | .framesDecoded) | .[0] - .[1]")
}

frames_in 3
((n >= 40)) || die "$n frames in 3 s before: ${seen[watcher]}"
passed "before: $n frames in 3 s"

lab hold controlplane
kill -KILL "$(pid_of controlplane)"
lose peer 5
frames_in 35
lose peer 0
((n >= 35 * 14)) || die "$n frames in 35 s without a control plane: ${seen[watcher]}"
passed "without a control plane, longer than ICE consent lasts, with 5 % loss: $n frames in 35 s"
lab release controlplane
wait_until 10 ctl status || die "the control plane does not come back"
began_ms=$(date +%s%3N)
watch late killed
passed "a new watcher is in $(($(date +%s%3N) - began_ms)) ms after the restart"
frames_in 3
((n >= 40)) || die "$n frames in 3 s after the adoption: ${seen[watcher]}"
ask late leave
[[ $answer == 200 ]] || die "DELETE of the new session: $answer"

kill -KILL "$(pid_of dataplane)"
sleep 0.2
wait_until 10 test -e "$run_dir/dataplane.pid"
restarted_ms=$(started_ms_of dataplane)
before=$(frames)
for _ in {1..60}; do
	[[ $(frames) -gt $before ]] && break
	sleep 0.05
done
resumed_ms=$(date +%s%3N)
((resumed_ms - restarted_ms < 1500)) || die "no frame $((resumed_ms - restarted_ms)) ms after the dataplane's restart"
passed "frames again $((resumed_ms - restarted_ms)) ms after the dataplane's restart, looking included"
frames_in 5
((n >= 70)) || die "$n frames in 5 s after the dataplane's restart: ${seen[watcher]}"
passed "after: $n frames in 5 s"
ask watcher leave
[[ $answer == 200 ]] || die "DELETE of a session from before the restart: $answer"
ask publisher leave
[[ $answer == 200 ]] || die "DELETE of the publisher's session: $answer"
passed "old sessions can be ended"
drive_end
