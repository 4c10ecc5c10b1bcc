#!/bin/bash
# Data channels: what a publisher says reaches the room's watchers, in order where the channel is ordered.
. "$(dirname "$0")/lab_session.bash"
. "$(dirname "$0")/sfu_session.bash"
lab_session_start
drive_start
open_page publisher client
open_page one peer
open_page two peer

publish publisher data alice '"video": false, "data": {"label": "chat", "ordered": true}'
watch one data '"data": true, "video": 0'
watch two data '"data": true, "video": 0'
sleep 1
ask publisher say '["one", "two", "three"]'
[[ $answer == '"open"' ]] || die "the publisher's channel is $answer"
sleep 1
for page in one two; do
	look $page
	[[ $(jq -c .received <<<"$answer") == '[["chat","one"],["chat","two"],["chat","three"]]' ]] ||
		die "$page received $(jq -c .received <<<"$answer")"
	passed "$page received three messages in order"
done
drive_end
