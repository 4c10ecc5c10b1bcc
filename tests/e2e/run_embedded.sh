#!/bin/bash
# `deploy/run` as an operator uses it: it says where the relay is, a client on this machine relays through it, an idle
# relay costs next to nothing, a killed process comes back, and Ctrl-C leaves nothing behind.
set -Eeuo pipefail
root=$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")
build=${TURNPIKE_BUILD:-$root/build}
scratch=$(mktemp -d)
run=
peer=
[[ $(id -u) -eq 0 ]] || exit 77

clean_up() {
	local status=$?
	trap - EXIT
	if [[ $status -ne 0 ]]; then
		cat "$scratch/run.log" || true
		tail -n 15 /run/turnpike/default/*.log 2>/dev/null || true
	fi
	[[ -z $peer ]] || kill "$peer" 2>/dev/null || true
	if [[ -n $run ]] && kill -TERM "$run" 2>/dev/null; then
		wait "$run" || true
	fi
	rm -rf "$scratch"
	exit "$status"
}
trap clean_up EXIT
trap 'echo "FAILED at line $LINENO: $BASH_COMMAND"' ERR
trap 'exit 130' INT TERM

die() {
	echo "FAILED: $*"
	exit 1
}

# A background job of a script ignores SIGINT, and so would its traps: give it back.
env --default-signal=INT "$root/deploy/run" --build "$build" >"$scratch/run.log" 2>&1 </dev/null &
run=$!
for _ in {1..600}; do
	grep -q 'Ctrl-C ends it' "$scratch/run.log" && break
	kill -0 "$run" 2>/dev/null || die "deploy/run ended"
	sleep 0.1
done
user=$(awk '$1 == "user" { print $2 }' "$scratch/run.log")
password=$(awk '$1 == "password" { print $2 }' "$scratch/run.log")
host=$(sed -n 's/.*TURN URL *turn:\([0-9.]*\):3478.*/\1/p' "$scratch/run.log")
[[ -n $user && -n $password && -n $host ]] || die "no URL, user or password printed"
echo "ok 1 - up: $user at $host"

turnutils_peer -L 198.18.64.1 >/dev/null 2>&1 &
peer=$!
sleep 0.3
relays() {
	timeout 60 turnutils_uclient -c -n 50 -m 4 -u "$user" -w "$password" -e 198.18.64.1 "$host" >"$scratch/client" 2>&1 || true
	grep -q 'Total lost packets 0 (0.000000%)' "$scratch/client" &&
		grep -q 'tot_send_msgs=200, tot_recv_msgs=200' "$scratch/client"
}
relays || die "$(tail -n 20 "$scratch/client")"
echo "ok 2 - turnutils_uclient on this machine relays, nothing lost"

ctl=("$build/controlplane/ctl/turnpikectl" --instance default)
"${ctl[@]}" status >"$scratch/status"
[[ -s $scratch/status ]] || die "turnpikectl says nothing"
echo "ok 3 - turnpikectl answers"

# Ticks of 10 ms; everything that the two processes and their supervisors used in five seconds.
ticks() {
	local pid sum=0
	for pid in $(jq -r '.controlplane.pid, .dataplane.pid' <("${ctl[@]}" --json status)); do
		sum=$((sum + $(awk '{ print $14 + $15 }' "/proc/$pid/stat")))
	done
	echo $sum
}
sleep 1
before=$(ticks)
sleep 5
used=$(($(ticks) - before))
echo "idle: $used ticks of 500"
case ${TURNPIKE_SANITIZED-} in
'') ((used < 25)) || die "an idle relay takes $used of 500 ticks" ;;
esac
echo "ok 4 - an idle relay costs $((used / 5)).$((used % 5 * 2)) % of a core"

for name in controlplane dataplane; do
	pid=$("${ctl[@]}" --json status | jq -r ".$name.pid")
	kill -KILL "$pid"
	for _ in {1..100}; do
		"${ctl[@]}" --json status 2>/dev/null |
			jq -e ".$name.pid != null and .$name.pid != $pid and .dataplane.state == \"running\"" >/dev/null && break
		sleep 0.1
	done
	relays || die "after the kill of the $name: $(tail -n 20 "$scratch/client")"
	echo "ok $([[ $name == controlplane ]] && echo 5 || echo 6) - a killed $name comes back, and relays"
done

processes=$("${ctl[@]}" --json status | jq -r '.controlplane.pid, .dataplane.pid')
kill -INT "$run"
wait "$run" || true
run=
for pid in $processes; do
	[[ ! -e /proc/$pid ]] || die "process $pid is left"
done
[[ ! -e /run/netns/turnpike && ! -e /sys/class/net/tpk0 ]] || die "network is left"
[[ ! -e /run/turnpike/default && ! -e /dev/shm/turnpike/default ]] || die "files are left"
echo "ok 7 - Ctrl-C leaves nothing behind"
