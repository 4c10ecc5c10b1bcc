#!/bin/bash
# Unauthenticated Allocates from random sources: no memory grows, an established flow loses nothing, and a client with a
# password still gets in.
. "$(dirname "$0")/lab_session.bash"
lab_session_start
peer_start

rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$(pid_of "$1")/status"; }
relay_mac=$(lab exec relay -- cat /sys/class/net/eth0/address)

probe_start calls --clients 10 --rate 1000
# The first requests warm the process up: what it keeps after them is what counts.
lab exec client -- timeout 30 "$packet_gun" --interface eth0 --target-mac "$relay_mac" \
	--target "$TURN_HOST:$TURN_PORT" --kind allocate --count 20000 --rate 20000 --seed 1 >/dev/null
sleep 0.5
probe_window calls
controlplane_kb=$(rss_kb controlplane)
dataplane_kb=$(rss_kb dataplane)

lab exec client -- timeout 60 "$packet_gun" --interface eth0 --target-mac "$relay_mac" \
	--target "$TURN_HOST:$TURN_PORT" --kind allocate --count 300000 --rate 30000 --seed 2 >"$scratch/gun" &
gun=$!
sleep 2
probe_start late --clients 5 --rate 200
passed "clients with a password get in during the flood"
probe_ask late refresh
expect "and refresh" '.ok == 5'
wait "$gun"
passed "sent: $(cat "$scratch/gun")"
probe_window late
expect "the new flows lose nothing" "$no_loss"
probe_window calls
expect "the established flows lose nothing" "$no_loss"

now_kb=$(rss_kb controlplane)
((now_kb * 100 <= controlplane_kb * 105)) || die "control plane grew from $controlplane_kb to $now_kb KiB"
passed "control plane: $controlplane_kb KiB before, $now_kb KiB after"
now_kb=$(rss_kb dataplane)
((now_kb * 100 <= dataplane_kb * 105)) || die "dataplane grew from $dataplane_kb to $now_kb KiB"
passed "dataplane: $dataplane_kb KiB before, $now_kb KiB after"
answer=$(ctl --json status)
expect "nothing was allocated for it" '.allocations.live == 15'
