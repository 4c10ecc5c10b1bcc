#!/bin/bash
# Five of a hundred UDP packets are lost at random, both ways, on the publisher's wire and then on the watchers'. NACK and RTX
# repair it: watchers decode with less than 1 % lost, and freeze no more often than without an SFU between the two browsers.
. "$(dirname "$0")/lab_session.bash"
. "$(dirname "$0")/sfu_session.bash"
lab_session_start
drive_start
open_page publisher client
open_page watcher peer

# call: from the SFU's room.
call() {
	publish publisher loss alice '"codec": "vp8", "size": [640, 360, 15]'
	watch watcher loss
	sleep 3
}

hang_up() {
	ask watcher leave
	ask publisher leave
}

# under_loss HOST: 20 s of it; sets `sent`, `decoded` and `freezes`.
under_loss() {
	lose "$1" 5
	sleep 2
	look publisher
	look watcher
	sleep 20
	look publisher
	look watcher
	lose "$1" 0
	decoded=$(since watcher "[\$is, \$was] | map($video | .framesDecoded) | .[0] - .[1]")
	sent=$(since publisher "[\$is, \$was] | map($pictures_sent) | .[0] - .[1]")
	freezes=$(since watcher "[\$is, \$was] | map($video | .freezes) | .[0] - .[1]")
}

# repaired NAME HOST
repaired() {
	under_loss "$2"
	((decoded * 100 >= sent * 99)) ||
		die "$1: $decoded of $sent frames decoded, $freezes freezes: ${seen[watcher]}; publisher: ${seen[publisher]}"
	passed "$1: $decoded of $sent frames decoded, $freezes freezes"
}

call
repaired "loss toward the watcher and back" peer
through_sfu=$freezes
rtx=$(jq "$video | .rtx // 0" <<<"${seen[watcher]}")
((rtx > 0)) || die "the watcher got no RTX: ${seen[watcher]}"
passed "$rtx packets came again by RTX"
repaired "loss from the publisher and back" client
rtx=$(jq '[.outbound[] | select(.kind == "video") | .rtx] | add' <<<"${seen[publisher]}")
((rtx > 0)) || die "the publisher was not asked for anything: ${seen[publisher]}"
passed "$rtx packets were sent again by the publisher"
hang_up

# The same two browsers without an SFU, for comparison.
between_browsers() {
	ask publisher offerDirect '{"size": [640, 360, 15]}'
	ask watcher answerDirect "$answer"
	ask publisher acceptDirect "$answer"
	sleep 3
	under_loss peer
	((decoded > 0)) || die "nothing came from browser to browser: ${seen[watcher]}"
}
between_browsers
directly=$freezes

# Freezes are rare and random, a lost repair or two each: counts of one and nought are the same. More often means that the
# difference is beyond two standard deviations of such counts, sqrt(a + b), in two pairs of windows together.
froze_more_often() {
	local difference=$((through_sfu - directly))
	((difference > 0 && difference * difference > 4 * (through_sfu + directly)))
}
if froze_more_often; then
	echo "# once more: $through_sfu freezes through the SFU, $directly from browser to browser"
	call
	repaired "loss toward the watcher and back" peer
	through_sfu=$((through_sfu + freezes))
	hang_up
	between_browsers
	directly=$((directly + freezes))
fi
! froze_more_often ||
	die "$through_sfu freezes through the SFU, $directly from browser to browser under the same loss"
passed "$through_sfu freezes through the SFU, $directly from browser to browser under the same loss, $decoded of $sent frames decoded there"
drive_end
