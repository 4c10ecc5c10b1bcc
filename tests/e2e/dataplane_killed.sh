#!/bin/bash
# The dataplane is killed under load. Relaying resumes on the same allocations within a second of its restart. While it is
# away the filter stays, goes on answering STUN Binding, and no ICMP error reaches a client.
. "$(dirname "$0")/lab_session.bash"
lab_session_start
peer_start

clients=20
probe_start calls --clients $clients --rate 2000
sleep 1
probe_window calls
expect "nothing is lost before" "$no_loss"

old=$(pid_of dataplane)
kill -KILL "$old"
wait_until 10 test -e "$run_dir/dataplane.pid"
sleep 2
probe_window calls
restarted_ms=$(started_ms_of dataplane)
resumed_ms=$(jq .gap_end_ms <<<"$answer")
expect "the outage shows" '.longest_gap_ms > 0 and .duplicate == 0 and .corrupt == 0'
expect "no socket of a client saw an error" '.socket_errors == 0'
((resumed_ms - restarted_ms <= 1000)) ||
	die "relaying resumed $((resumed_ms - restarted_ms)) ms after the restart"
passed "relaying resumed $((resumed_ms - restarted_ms)) ms after the restart, $(jq .longest_gap_ms <<<"$answer") ms after the kill"
sleep 1
probe_window calls
expect "nothing is lost after" "$no_loss"

# Long away: what the filter does alone.
lab hold dataplane
kill -KILL "$(pid_of dataplane)"
sleep 0.5
probe_window calls
lab exec client -- timeout 20 tcpdump -ni eth0 -w "$scratch/icmp.pcap" 'icmp[0] == 3 or icmp6[0] == 1' \
	>/dev/null 2>&1 &
sleep 0.5
sleep 1.5
probe_window calls
expect "without a dataplane nothing is relayed and no error comes back" \
	'.sent > 0 and .received == 0 and .socket_errors == 0'
probe_ask calls binding
expect "the filter still answers STUN Binding" ".ok == $clients"
answer=$(ctl --json status)
expect "the control plane says that the dataplane is down" '.dataplane.state != "running"'
lab release dataplane
sleep 1.5
probe_window calls
sleep 1
probe_window calls
expect "relaying is back without loss" "$no_loss"
sleep 0.2
[[ $(tcpdump -nr "$scratch/icmp.pcap" 2>/dev/null | wc -l) -eq 0 ]] ||
	die "ICMP errors were sent: $(tcpdump -nr "$scratch/icmp.pcap" 2>/dev/null | head -3)"
passed "no ICMP unreachable on the wire"

for _ in {1..5}; do
	kill_running dataplane
	sleep 0.$((RANDOM % 9 + 1))
done
sleep 4
probe_window calls
expect "five kills: no socket error" '.socket_errors == 0'
sleep 1
probe_window calls
expect "and relaying is back" "$no_loss"
probe_ask calls refresh
expect "every Refresh succeeds" ".ok == $clients and .failed == 0"
