#!/bin/bash
# turnpikectl against a control plane without network: exit codes, --json of every verb, and what it says when things are wrong.
# Needs no root: every path is a temporary one.
# Reads TURNPIKE_BUILD: the build directory whose binaries are tested.
set -Eeuo pipefail

build=${TURNPIKE_BUILD:-$(dirname "$(readlink -f "$0")")/../../build}
ctl=$build/controlplane/ctl/turnpikectl
controlplane=$build/controlplane/turnpike-controlplane
scratch=$(mktemp -d)
export TURNPIKE_RUN_DIR=$scratch/run TURNPIKE_SHM_DIR=$scratch/shm
mkdir -p "$TURNPIKE_RUN_DIR" "$TURNPIKE_SHM_DIR"
pid=
n=0

finish() {
	local status=$?
	[[ -z $pid ]] || kill -KILL "$pid" 2>/dev/null || true
	((status == 0)) || tail -n 20 "$scratch"/*.log || true
	rm -rf "$scratch"
	exit "$status"
}
trap finish EXIT
trap 'echo "FAILED at line $LINENO: $BASH_COMMAND"' ERR

# expect CODE WORDS ARGUMENTS…: turnpikectl ends with that code and its output, stderr too, has these words.
expect() {
	local code=$1 words=$2 output status=0
	shift 2
	output=$(timeout 20 "$ctl" "$@" 2>&1) || status=$?
	n=$((n + 1))
	if [[ $status -ne $code ]] || ! grep -qE -- "$words" <<<"$output"; then
		echo "turnpikectl $*: exit $code and '$words' expected, but exit $status: $output"
		exit 1
	fi
	echo "ok $n - turnpikectl $*"
}

cat >"$scratch/good.yaml" <<-END
	instance: ctl
	realm: lab.turnpike
	listeners: [{address: 198.18.0.2}]
	relay: {addresses: [198.18.0.3]}
	users: [{name: lab, password: lab-secret}]
	ports: [{device: net_null0, gateway_mac: 02:00:00:00:00:01}]
	tables: {max_allocations: 16, max_flows: 64}
END
chmod 0600 "$scratch/good.yaml"
sed 's/^relay:/rely:/' "$scratch/good.yaml" >"$scratch/bad.yaml"
sed 's/net_null0, gateway_mac.*/af_xdp, interface: nosuch0}]/' "$scratch/good.yaml" >"$scratch/elsewhere.yaml"

# Wrong use, and nobody there.
expect 2 'usage:'
expect 2 'unknown verb' frobnicate
expect 2 'usage: turnpikectl allocation show ID' allocation show
expect 2 'does not take one of these options' status --peer 1.2.3.4
expect 2 'unrecognized option' status --frobnicate
expect 2 'user add NAME' user
expect 2 "unknown verb 'allocation shw'" allocation shw
expect 2 'allocation show ID' allocation shw
expect 2 '\[--limit N\]' user list somebody
expect 0 '\[--user NAME\]' allocations --help
[[ $("$ctl" status --help | wc -l) -eq 1 ]]
expect 0 'usage:' --help
expect 0 '^turnpikectl [0-9]' --version
expect 0 'turnpikectl +[0-9]' version
expect 2 'no control plane answers at .*/ctl/ctl.sock .*is it running\?' -i ctl status
expect 2 'no control plane answers at /nowhere' --socket /nowhere status
expect 0 'correct: instance ctl' config check "$scratch/good.yaml"
expect 2 "bad.yaml:4: rely: unknown key; did you mean 'relay'\?" config check "$scratch/bad.yaml"
expect 0 "warning: .*'nosuch0' does not exist" config check "$scratch/elsewhere.yaml"
{
	cat "$scratch/good.yaml"
	echo 'tls: {certificate: /nowhere/cert.pem, key: /nowhere/key.pem}'
} | sed 's/^listeners:.*/listeners: [{address: 198.18.0.2}, {address: 198.18.0.2, transport: tls}]/' >"$scratch/tls.yaml"
expect 0 "warning: .*tls.key: '/nowhere/key.pem' cannot be read" config check "$scratch/tls.yaml"
expect 0 'correct: instance ctl, 2 listener' config check "$scratch/tls.yaml"
{ "$ctl" --json config check "$scratch/bad.yaml" 2>/dev/null || true; } | jq -e '.ok == false and (.error | test("bad.yaml:4:"))' >/dev/null
expect 2 'cannot be read' config check "$scratch/none.yaml"
expect 1 'has no segments' -i ctl segment remove
expect 2 'no instance' -i ../etc segment remove

# The control plane refuses the same mistakes, and starts nothing.
for file in bad elsewhere none; do
	status=0
	timeout 10 "$controlplane" --config "$scratch/$file.yaml" >"$scratch/refused" 2>&1 || status=$?
	[[ $status -eq 2 && $(wc -l <"$scratch/refused") -eq 1 ]]
	[[ ! -e $TURNPIKE_SHM_DIR/ctl ]]
done

"$controlplane" --config "$scratch/good.yaml" >"$scratch/controlplane.log" 2>&1 &
pid=$!
for ((i = 0; i < 100; i++)); do
	[[ ! -S $TURNPIKE_RUN_DIR/ctl/ctl.sock ]] || break
	sleep 0.05
done

# A second one is refused.
status=0
timeout 10 "$controlplane" --config "$scratch/good.yaml" >"$scratch/second" 2>&1 || status=$?
[[ $status -eq 2 && $(wc -l <"$scratch/second") -eq 1 ]]
grep -q 'already running' "$scratch/second"

expect 0 "controlplane +running, pid $pid" -i ctl status
expect 2 'with --instance there is: ctl' -i other status
expect 0 'no allocation is live' -i ctl allocations
expect 0 'no dataplane has started yet' -i ctl workers
expect 0 'no packet was dropped' -i ctl drops
expect 0 'permission_expired' -i ctl drops --all
expect 0 'relay_up_channel' -i ctl stats
expect 1 'has an XDP filter' -i ctl filter
expect 0 'max_allocations: 16' -i ctl config show
expect 0 'dropped: dataplane_down' -i ctl explain --client 192.0.2.1:5
expect 1 'neither .client. nor .relayed.' -i ctl explain
expect 1 'no IP:PORT' -i ctl explain --client nonsense
expect 2 'no channel number' -i ctl explain --client 192.0.2.1:5 --channel 0x123456
expect 1 'no live allocation' -i ctl allocation show 1234
expect 1 'no live allocation' -i ctl allocation kill 1234
expect 0 'reloaded' -i ctl reload
expect 0 'draining is on' -i ctl drain on
expect 0 '^draining +on: no new clients' -i ctl status
expect 0 'draining is off' -i ctl drain off
[[ $("$ctl" -i ctl status | grep -c '^draining' || true) -eq 0 ]]
expect 1 'is running; stop it first' -i ctl segment remove

for verb in status allocations workers drops stats "config show" version "explain --client 192.0.2.1:5"; do
	# shellcheck disable=SC2086
	"$ctl" -i ctl --json $verb | jq -e 'type == "object"' >/dev/null
done
"$ctl" -i ctl --json status | jq -e --argjson pid "$pid" '.controlplane.pid == $pid and .dataplane.pid == null' >/dev/null
# A refusal is JSON as well.
{ "$ctl" -i ctl --json allocation show 1234 2>/dev/null || true; } |
	jq -e '.ok == false and .error.code == "not_found" and (.error.remedy | length) > 0' >/dev/null
# One line each second.
{ timeout 3 "$ctl" -i ctl --json stats --watch || true; } | jq -se 'length >= 2 and .[1].at_ns > .[0].at_ns' >/dev/null

# Killed: the next one takes the tables over, and the socket that was left behind.
kill -KILL "$pid"
wait "$pid" || true
expect 2 'no control plane answers' -i ctl status
"$controlplane" --config "$scratch/good.yaml" >>"$scratch/controlplane.log" 2>&1 &
pid=$!
for ((i = 0; i < 100; i++)); do
	! "$ctl" -i ctl status >/dev/null 2>&1 || break
	sleep 0.05
done
expect 0 'tables +adopted' -i ctl status
kill -TERM "$pid"
wait "$pid"
pid=
[[ ! -e $TURNPIKE_RUN_DIR/ctl/ctl.sock ]]
expect 0 'removed' -i ctl segment remove
[[ ! -e $TURNPIKE_SHM_DIR/ctl ]]
echo "$n checks"
