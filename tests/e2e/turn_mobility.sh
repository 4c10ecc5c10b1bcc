#!/bin/bash
# RFC 8016 for real: a client under load moves to another address with its ticket and loses nothing; afterwards the
# old ticket is refused. And a host that drains keeps its clients and takes no others.
. "$(dirname "$0")/lab_session.bash"
lab_session_start

lab exec peer -- turnutils_peer -L "$PEER_HOST" >/dev/null 2>&1 &
sleep 0.3

other_address=198.18.0.11
# shellcheck disable=SC2016
lab exec client -- sh -c 'ip addr add '$other_address'/24 dev "$(ip -o -4 addr show to 198.18.0.10 | cut -d" " -f2)"'

move() {
	lab exec client -- timeout 40 python3 "$root/tests/e2e/mobile_client.py" "$TURN_HOST" "$TURN_PORT" \
		"$TURN_USER" "$TURN_PASS" "$TURN_REALM" "$PEER_HOST" 3480 198.18.0.10 "$other_address" "$1"
}

counter() { ctl stats --json | sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p"; }

said=$(move 4) || die "$said"
passed "a client that moves under load: $said"
[[ $(counter allocations_moved) -eq 1 ]] || die "$(counter allocations_moved) moves were counted"
passed "the move was counted"

move 6 >"$scratch/moved" 2>&1 &
mover=$!
sleep 1
ctl drain on >"$scratch/drain"
grep -q 'draining is on' "$scratch/drain" || die "$(cat "$scratch/drain")"
if said=$(lab exec client -- timeout 20 python3 "$root/tests/e2e/mobile_client.py" "$TURN_HOST" "$TURN_PORT" \
	"$TURN_USER" "$TURN_PASS" "$TURN_REALM" "$PEER_HOST" 3480 198.18.0.10 "$other_address" 1 2>&1); then
	die "a draining host took a new client: $said"
fi
[[ $said == *"Allocate: 508"* ]] || die "$said"
wait "$mover" || die "$(cat "$scratch/moved")"
passed "a draining host refuses new clients, and those that it has move on: $(cat "$scratch/moved")"
ctl drain off >/dev/null
said=$(move 1) || die "$said"
passed "afterwards it takes clients again"
