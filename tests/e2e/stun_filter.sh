#!/bin/bash
# The XDP filter answers STUN Binding itself, and lets everything that is not Turnpike's through to the kernel.
. "$(dirname "$0")/lab_session.bash"
lab_session_start

filter_answered() { ctl --json filter | jq '.counters[] | select(.counter == "answered_binding") | .pkts'; }
worker_answered() { ctl --json stats | jq .dataplane.binding_answered; }

for host in "$TURN_HOST" "$TURN_HOST6"; do
	filter_before=$(filter_answered)
	worker_before=$(worker_answered)
	lab exec client -- timeout 10 turnutils_stunclient -p "$TURN_PORT" "$host" >"$scratch/stun" 2>&1 || true
	grep -q 'UDP reflexive addr' "$scratch/stun" || die "no answer from $host: $(cat "$scratch/stun")"
	(($(filter_answered) > filter_before)) || die "the filter's counter did not move"
	[[ $(worker_answered) == "$worker_before" ]] || die "the worker answered"
	passed "$host: $(grep -o 'UDP reflexive.*' "$scratch/stun"), by the filter: $filter_before -> $(filter_answered)"
done

lab exec client -- ping -c 3 -i 0.2 -W 2 "$TURN_HOST" >/dev/null
passed "IPv4 ping"
lab exec client -- ping -c 3 -i 0.2 -W 2 "$TURN_HOST6" >/dev/null
passed "IPv6 ping"

for host in "$TURN_HOST" "$TURN_HOST6"; do
	head -c 300000 /dev/urandom >"$scratch/sent"
	lab exec relay -- timeout 10 nc -l -N "$host" 8022 >"$scratch/received" &
	listener=$!
	sleep 0.3
	lab exec client -- timeout 10 nc -N "$host" 8022 <"$scratch/sent" >/dev/null
	wait "$listener"
	cmp -s "$scratch/sent" "$scratch/received" || die "TCP to $host: other bytes arrived"
	passed "TCP to $host"
done

lab exec relay -- timeout 5 nc -u -l "$TURN_HOST" 5353 >"$scratch/received" &
sleep 0.3
echo "for the kernel" | lab exec client -- timeout 2 nc -u -q 1 "$TURN_HOST" 5353 || true
wait_until 3 grep -q "for the kernel" "$scratch/received" || die "UDP to another port did not reach the kernel"
passed "UDP to a port that is not ours"

mode=$(ctl --json status | jq -r '.ports[0].xdp_mode')
[[ $mode == native || $mode == generic ]] || die "status names the mode '$mode'"
passed "the filter runs in $mode mode"
