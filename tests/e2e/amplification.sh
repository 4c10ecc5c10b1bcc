#!/bin/bash
# Nobody gets more from us than he sent, whoever he says he is: measured for every kind of request, from sources without a
# past. The first answer weighs at most 1.9 times its request, and a flood gets no more than its own bytes, both as IP
# packets; a client with a password gets in from the very address that is flooded.
. "$(dirname "$0")/lab_session.bash"
lab_session_start

lab exec client -- timeout 200 python3 "$root/tests/e2e/amplification.py" --interface eth0 --server4 "$TURN_HOST" \
	--server6 "$TURN_HOST6" --port "$TURN_PORT" --user "$TURN_USER" --password "$TURN_PASS" ||
	die "more went out than came in, or an honest client was locked out"
passed "the first answer ≤ 1.9, a flood ≤ 1.0"
answer=$(ctl --json status)
expect "only honest clients have allocations" '.allocations.live == 10'
