#!/bin/bash
# The control plane is killed under load. Established flows lose nothing while it is away, the next one adopts every
# allocation, and the clients' next Refresh succeeds with the key they had.
. "$(dirname "$0")/lab_session.bash"
lab_session_start
peer_start

clients=20
probe_start calls --clients $clients --rate 2000
sleep 1
probe_window calls
expect "nothing is lost before" "$no_loss"

before=$(ctl --json allocations | jq -S '[.allocations[] | {client, relayed}] | sort')
lab hold controlplane
old=$(pid_of controlplane)
kill -KILL "$old"
sleep 3
[[ ! -e $run_dir/controlplane.pid ]] || die "the control plane is still there"
probe_window calls
expect "nothing is lost while there is no control plane" "$no_loss"

lab release controlplane
wait_until 10 ctl --json status || die "no control plane after its release"
sleep 1
probe_window calls
expect "nothing is lost while the next one adopts" "$no_loss"
[[ $(pid_of controlplane) != "$old" ]] || die "same process"

answer=$(ctl --json status)
expect "all $clients allocations are adopted" ".allocations.adopted.allocations == $clients and .allocations.live == $clients"
after=$(ctl --json allocations | jq -S '[.allocations[] | {client, relayed}] | sort')
[[ $before == "$after" ]] || die "other allocations than before: $before / $after"
passed "they are the same ones"

probe_ask calls refresh
expect "every Refresh succeeds with the same key" ".ok == $clients and .failed == 0"

# Ten times in a row, at any moment of its life.
for _ in {1..10}; do
	kill_running controlplane
	sleep 0.$((RANDOM % 5 + 1))
done
wait_until 10 ctl --json status || die "no control plane after ten kills"
probe_ask calls refresh
expect "and after ten kills in a row" ".ok == $clients and .failed == 0"
probe_window calls
expect "which lost nothing either" "$no_loss"

ctl drain on >/dev/null
kill_running controlplane
wait_until 10 ctl --json status || die "no control plane after its kill"
answer=$(ctl --json status)
expect "a drained host is still drained after a kill" '.draining'
ctl drain off >/dev/null
kill_running controlplane
wait_until 10 ctl --json status || die "no control plane after its kill"
answer=$(ctl --json status)
expect "and one that takes clients again takes them" '.draining | not'

probe_start late --clients 5 --rate 100
sleep 0.5
probe_window late
expect "new clients get in" "$no_loss"
probe_quit late
probe_quit calls
expect "over all nothing is lost" '.lost == 0 and .bad == 0'
wait_until 5 bash -c "'$build/controlplane/ctl/turnpikectl' --instance $instance --json status |
	jq -e '.allocations.live == 0'" || die "allocations are left: $(ctl allocations)"
passed "deleted allocations are gone"
