#!/bin/bash
# TCP relaying (RFC 6062): coturn's client against itself through two relayed addresses, and a client of our own that sees
# both ends of each connection.
. "$(dirname "$0")/lab_session.bash"
lab_session_start

probe=$build/tests/e2e/tcp_relay_probe

# uclient NAME ARGUMENTS…: every message must come back. The client always exits 0, so its output is judged.
uclient() {
	local name=$1 out=$scratch/uclient
	shift
	timeout 60 "$root/deploy/lab" --instance "$instance" exec client -- \
		turnutils_uclient -n 100 -m 4 -u "$TURN_USER" -w "$TURN_PASS" "$@" >"$out" 2>&1 || true
	grep -q 'start_mclient: tot_send_msgs=400, tot_recv_msgs=400' "$out" &&
		grep -q 'Total lost packets 0 (0.000000%)' "$out" || die "$name: $(tail -n 25 "$out")"
	passed "$name: 400 of 400 messages came back"
}

uclient "TCP relaying over TCP" -T -t "$TURN_HOST"
uclient "TCP relaying over TLS" -T -t -S "$TURN_HOST"
uclient "TCP relaying over TCP, IPv6" -T -t -x "$TURN_HOST6"

# probe NAME ARGUMENTS…
probe() {
	local name=$1
	shift
	lab exec client -- timeout 150 "$probe" "$@" "$TURN_USER" "$TURN_PASS" >"$scratch/probe-$name" 2>&1 || return 1
}

lab exec relay -- ip address add 9.9.9.77/32 dev lo
lab exec relay -- ip address add 2620:fe::77/128 dev lo
client4=198.18.0.10 client6=fd00:18::10
pids=()
probe tcp "$TURN_HOST" "$TURN_PORT" "$client4" & pids+=($!)
probe tls -S "$TURN_HOST" "$TURN_TLS_PORT" "$client4" & pids+=($!)
probe ipv6 -6 "$TURN_HOST6" "$TURN_PORT" "$client6" & pids+=($!)
names=(tcp tls ipv6)
for i in 0 1 2; do
	wait "${pids[$i]}" || die "${names[$i]}: $(cat "$scratch/probe-${names[$i]}")"
	while read -r line; do
		passed "${names[$i]}: ${line#ok - }"
	done <"$scratch/probe-${names[$i]}"
done

# Nothing is left of any of them.
is_empty() {
	ctl --json status | python3 -c 'import json, sys
s = json.load(sys.stdin)
s = s.get("result", s)
sys.exit(s["allocations"]["live"] != 0 or s["streams"]["tcp_peers"] != 0)'
}
wait_until 15 is_empty || die "connections or allocations are left: $(ctl --json status)"
passed "nothing is left"

# The limit of an allocation holds its connections up, and loses nothing.
printf 'limits: {bytes_per_second_per_allocation: 400000}\n' >>"$run_dir/turnpike.yaml"
ctl reload >/dev/null
probe rate -r 400000 "$TURN_HOST" "$TURN_PORT" "$client4" || die "limit: $(cat "$scratch/probe-rate")"
passed "limit: $(sed 's/^ok - //' "$scratch/probe-rate")"
