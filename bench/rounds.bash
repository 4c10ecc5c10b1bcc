# What the cases of bench/run share: a scratch directory and its clean-up, hugepages for the time of the case, rounds in
# which the contestants take turns, and medians. Sourced. Needs root.
# shellcheck shell=bash
set -Eeuo pipefail

root=$BENCH_ROOT
build=$BENCH_BUILD
quick=$BENCH_QUICK
bench_dir=$(mktemp -d /tmp/turnpike-bench.XXXXXX)
export TURNPIKE_SHM_DIR=/dev/shm/turnpike-bench-$$ TURNPIKE_RUN_DIR=$bench_dir/run
mkdir -p "$TURNPIKE_SHM_DIR" "$TURNPIKE_RUN_DIR"
bench_pids=()
bench_netns=()          # prefix of commands that run on the relay's side
controlplane_prefix=()
hugepages_before=
hugepages_file=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
# shellcheck source=bench/instance.bash
. "$root/bench/instance.bash"

# skip WHY: this machine cannot run the case.
skip() {
	echo "$*"
	exit 77
}

case_end() {
	local status=$? pid netns
	trap - EXIT
	trap '' INT TERM
	for pid in "${bench_pids[@]}"; do bench_stop "$pid"; done
	if declare -F veth_down >/dev/null; then veth_down; fi
	[[ -z $hugepages_before ]] || echo "$hugepages_before" >"$hugepages_file"
	if [[ $status -ne 0 && $status -ne 77 ]]; then tail -n 5 "$bench_dir"/*.log 2>/dev/null || true; fi
	find "$TURNPIKE_RUN_DIR" -name bpf -exec umount {} \; 2>/dev/null || true
	rm -rf "$bench_dir" "$TURNPIKE_SHM_DIR"
	exit "$status"
}
trap case_end EXIT
trap 'echo "failed at ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND" >&2' ERR
trap 'exit 130' INT TERM

[[ $(id -u) -eq 0 ]] || skip "needs root: sudo bench/run"

# hugepages_need MB: free ones for the time of the case, as far as the machine has them.
hugepages_need() {
	local free wanted
	[[ -w $hugepages_file ]] || return 0
	[[ -n $hugepages_before ]] || hugepages_before=$(<"$hugepages_file")
	free=$(<"${hugepages_file%nr_hugepages}free_hugepages")
	wanted=$(($1 / 2 + 16))
	((free >= wanted)) || echo $(($(<"$hugepages_file") + wanted - free)) >"$hugepages_file"
}

# waited_ns PID: how long the threads of a process have been kept from their CPU by others.
waited_ns() {
	{ cat /proc/"$1"/task/*/schedstat 2>/dev/null || true; } | awk '{ n += $2 } END { printf "%d", n }'
}

stolen_ticks() {
	awk '/^cpu / { print $9 }' /proc/stat
}

# watch_begin PID…, watch_end: whether those processes had their CPUs to themselves in between. watch_end prints the share
# of time that others took.
watch_begin() {
	local pid
	watch_pids=("$@")
	watch_waited=0
	for pid in "$@"; do watch_waited=$((watch_waited + $(waited_ns "$pid"))); done
	watch_stolen=$(stolen_ticks)
	watch_began=$(date +%s%N)
}
watch_end() {
	local pid waited=0
	for pid in "${watch_pids[@]}"; do waited=$((waited + $(waited_ns "$pid"))); done
	awk -v w=$((waited - watch_waited)) -v s=$(($(stolen_ticks) - watch_stolen)) \
		-v t=$(($(date +%s%N) - watch_began)) 'BEGIN { printf "%.4f", (w + s * 1e7) / t }'
}
# disturbed_by REPORT: the greater of $disturbed and what a generator's report says of itself.
disturbed_by() {
	disturbed=$(jq --argjson d "$disturbed" '[$d, .waited_share // 0] | max' <<<"$1")
}
disturbed_share_max=0.05

# rounds N CONTESTANT…: each contestant is a function that stores a rate in $rate and the share of time that others took in
# $disturbed. They take turns; a disturbed turn is repeated up to twice, and dropped if it stays disturbed, unless nothing else is
# left. Ends early when the figures agree with each other, and when its time is up. Turns land in $bench_dir/turns, one JSON
# object a line: {contestant, round, rate, disturbed, quiet}.
rounds() {
	local n=$1 round contestant try began=$SECONDS
	shift
	: >"$bench_dir/turns"
	for ((round = 0; round < n; round++)); do
		# A machine that is never quiet gets twice the time for the rounds that it needs.
		if ((round > 0 && SECONDS - began > rounds_seconds * (round < rounds_enough ? 2 : 1))) ||
			rounds_agree "$#"; then break; fi
		for contestant in "$@"; do
			for try in 0 1 2; do
				disturbed=0
				"$contestant"
				if awk -v d="$disturbed" -v m="$disturbed_share_max" 'BEGIN { exit !(d <= m) }'; then
					break
				fi
				[[ $quick == 0 ]] || break
			done
			jq -nc --arg contestant "$contestant" --argjson round "$round" --argjson rate "$rate" \
				--argjson disturbed "$disturbed" --argjson most "$disturbed_share_max" \
				'{$contestant, $round, $rate, $disturbed, quiet: ($disturbed <= $most)}' >>"$bench_dir/turns"
			printf '\r  round %d of %d: %-24s %14.0f /s ' $((round + 1)) "$n" "$contestant" "$rate" >&2
		done
	done
	printf '\r%70s\r' '' >&2
}

# rounds_agree N: whether each of N contestants has enough quiet turns, and all of them lie close together.
rounds_agree() {
	jq -se --argjson n "$1" --argjson enough "$rounds_enough" --argjson spread "$rounds_spread_max" '
		map(select(.quiet)) | group_by(.contestant) | length == $n and
		all(length >= $enough and (map(.rate) | (max - min) <= $spread * (add / length)))' \
		"$bench_dir/turns" >/dev/null
}

# summary BASE: of the last rounds: per contestant the median and the extremes, and the ratio to BASE round by round.
# Disturbed rounds count only where a contestant has no others.
summary() {
	jq -s --arg base "$1" '
		def median: sort | if length == 0 then null elif length % 2 == 1 then .[length / 2 | floor]
			else (.[length / 2 - 1] + .[length / 2]) / 2 end;
		def spread: {median: median, min: min, max: max, rounds: length};
		(group_by(.contestant) | map(
			(map(select(.quiet)) | if length > 0 then . else null end) as $quiet |
			{key: .[0].contestant, value: ($quiet // .), disturbed: ($quiet == null), dropped: (length - (($quiet // .) | length))})) as $of |
		($of | map(select(.key == $base)) | .[0].value // [] | map({key: (.round | tostring), value: .rate}) | from_entries) as $at |
		($at | [.[]] | median) as $middle |
		$of | map({key: .key, value: (
			(.value | map(.rate) | spread) + {disturbed_dropped: .dropped, disturbed} +
			{ratio: (.value | map(.rate / ($at[.round | tostring] // $middle)) | spread)})}) | from_entries
	' "$bench_dir/turns"
}

# show TITLE SUMMARY UNIT: the table for people; rates are divided by 1e6 for Mpps and 1e3 for kpps.
show() {
	jq -r --arg unit "${3:-Mpps}" '
		({Mpps: 1e6, kpps: 1e3, "/s": 1}[$unit]) as $by |
		def two: . * 100 | round / 100 | tostring;
		to_entries[] | [.key, (.value.median / $by | two), "\(.value.min / $by | two)–\(.value.max / $by | two)",
			(.value.ratio.median | two), "\(.value.ratio.min | two)–\(.value.ratio.max | two)",
			if .value.disturbed then "disturbed by other load" else "" end] | @tsv' <<<"$2" |
		awk -F'\t' -v title="$1" -v unit="${3:-Mpps}" '
			BEGIN { printf "%-34s %9s %16s %8s %14s\n", title, unit, "least–most", "ratio", "least–most" }
			{ printf "  %-32s %9s %16s %8s %14s  %s\n", $1, $2, $3, $4, $5, $6 }'
}

if [[ $quick == 1 ]]; then
	n_rounds=1
	seconds=0.5
else
	n_rounds=7
	seconds=1.5
fi
rounds_enough=3
rounds_spread_max=0.05 # of the mean
rounds_seconds=60      # no further round after that
