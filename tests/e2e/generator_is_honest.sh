#!/bin/bash
# A wrong generator cannot flatter: a line between the generator and the relay loses, duplicates, corrupts and reorders,
# and the generator's report names each number exactly. First against the bare line, then with Turnpike behind it.
set -Eeuo pipefail

root=$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")
build=${TURNPIKE_BUILD:-$root/build}
bench_dir=$(mktemp -d)
export TURNPIKE_SHM_DIR=/dev/shm/turnpike-honest-$$ TURNPIKE_RUN_DIR=$bench_dir/run
bench_netns=()
controlplane_prefix=()
bench_pids=()
# shellcheck source=bench/instance.bash
. "$root/bench/instance.bash"
mkdir -p "$TURNPIKE_SHM_DIR" "$TURNPIKE_RUN_DIR"

finish() {
	local status=$? pid
	trap - EXIT
	for pid in "${bench_pids[@]}"; do bench_stop "$pid"; done
	[[ $status -eq 0 ]] || tail -n 5 "$bench_dir"/*.log 2>/dev/null || true
	rm -rf "$bench_dir" "$TURNPIKE_SHM_DIR"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM
trap 'echo "FAILED at line $LINENO: $BASH_COMMAND"' ERR

memif() { # ROLE ID NAME
	echo "net_memif$2,role=$1,id=0,socket=$bench_dir/$3.sock,socket-abstract=no,rsize=13"
}

# line NAME ARGUMENTS…: starts impair; its report goes to $bench_dir/NAME.line.json.
line() {
	local name=$1 i
	shift
	timeout 60 "$build/bench/blast/impair" --near "$(memif server 0 "$name")" "$@" \
		>"$bench_dir/$name.line.json" 2>"$bench_dir/$name.line.log" &
	line_pid=$!
	bench_pids+=("$line_pid")
	for ((i = 0; i < 100; i++)); do
		[[ -S $bench_dir/$name.sock ]] && return
		sleep 0.1
	done
	echo "the line $name did not start"
	return 1
}

generate() { # NAME ARGUMENTS…
	local name=$1
	shift
	timeout 60 "$build/bench/blast/blast" run --port "$(memif client 0 "$name")" --cpu 0 --flows 50 \
		--rate 20000 --seconds 3 --warmup 0 --json "$bench_dir/$name.blast.json" "$@" \
		2>"$bench_dir/$name.blast.log"
	kill -TERM "$line_pid"
	wait "$line_pid"
}

# equal NAME: what the line did is what the generator says, number by number, and it did something.
equal() {
	jq -e -n --slurpfile l "$bench_dir/$1.line.json" --slurpfile b "$bench_dir/$1.blast.json" \
		--argjson least "$2" '
		$l[0] as $l | $b[0] as $b |
		$l.refused == 0 and $l.seen == $b.sent and
		$l.lost == $b.lost and $l.duplicated == $b.duplicates and
		$l.corrupted == $b.corrupted + $b.bad_checksum and $l.reordered == $b.reordered and
		$b.misdirected == 0 and $b.late == 0 and
		$b.received == $b.sent - $l.lost - $l.corrupted and
		([$l.lost, $l.duplicated, $l.corrupted, $l.reordered] | min) >= $least' >/dev/null || {
		echo "not the same: line, then generator"
		cat "$bench_dir/$1.line.json" "$bench_dir/$1.blast.json"
		return 1
	}
	echo "ok: $1: $(jq -c '{lost, duplicates, corrupted, bad_checksum, reordered}' "$bench_dir/$1.blast.json")"
}

harm=(--lose 1000 --duplicate 700 --corrupt 900 --reorder 800)

line clean
generate clean --echo --size imix
equal clean 0
line bare "${harm[@]}"
generate bare --echo --size imix
equal bare 20

config=$(instance_config honest 50 128 1 "$(memif server 0 relay)")
sed -i 's/idle: poll/idle: adaptive/; /^  cpus:/d' "$config"
"$build/bench/preload" --config "$config" --flows 50 >/dev/null
instance_start_dataplane honest
for ((i = 0; i < 100; i++)); do
	[[ -S $bench_dir/relay.sock ]] && break
	sleep 0.1
done
line relay_clean --far "$(memif client 1 relay)"
generate relay_clean --size imix
equal relay_clean 0
sleep 0.3
line relay_harmed "${harm[@]}" --far "$(memif client 1 relay)"
generate relay_harmed --size imix
equal relay_harmed 20
