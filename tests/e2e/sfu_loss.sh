#!/bin/bash
# Five of a hundred UDP packets are lost at random, both ways, on the publisher's wire and then on the watchers'. NACK and RTX
# repair it: watchers decode with less than 1 % lost.
. "$(dirname "$0")/lab_session.bash"
. "$(dirname "$0")/sfu_session.bash"
lab_session_start
drive_start
open_page publisher client
open_page watcher peer

publish publisher loss alice '"codec": "vp8", "size": [640, 360, 15]'
watch watcher loss
sleep 3

# under_loss NAME HOST
under_loss() {
	local lost freezes rtx percent
	lose "$2" 5
	sleep 2
	look publisher
	look watcher
	sleep 20
	look publisher
	look watcher
	lose "$2" 0
	decoded=$(since watcher "[\$is, \$was] | map($video | .framesDecoded) | .[0] - .[1]")
	sent=$(since publisher "[\$is, \$was] | map($pictures_sent) | .[0] - .[1]")
	freezes=$(since watcher "[\$is, \$was] | map($video | .freezes) | .[0] - .[1]")
	((decoded * 100 >= sent * 99)) ||
		die "$1: $decoded of $sent frames decoded, $freezes freezes: ${seen[watcher]}; publisher: ${seen[publisher]}"
	passed "$1: $decoded of $sent frames decoded, $freezes freezes"
}

under_loss "loss toward the watcher and back" peer
rtx=$(jq "$video | .rtx // 0" <<<"${seen[watcher]}")
((rtx > 0)) || die "the watcher got no RTX: ${seen[watcher]}"
passed "$rtx packets came again by RTX"
under_loss "loss from the publisher and back" client
rtx=$(jq '[.outbound[] | select(.kind == "video") | .rtx] | add' <<<"${seen[publisher]}")
((rtx > 0)) || die "the publisher was not asked for anything: ${seen[publisher]}"
passed "$rtx packets were sent again by the publisher"
drive_end
