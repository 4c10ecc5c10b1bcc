# A lab of the test's own, gone when the test ends however it ends; sourced by the end-to-end tests.
# Reads TURNPIKE_BUILD: the build directory whose binaries are tested.
set -Eeuo pipefail

root=$(dirname "$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")")
build=${TURNPIKE_BUILD:-$root/build}
instance=e2e-$$
scratch=$(mktemp -d)
# shellcheck source=tests/e2e/checks.bash
. "$root/tests/e2e/checks.bash"

if [[ $(id -u) -ne 0 ]]; then
	echo "needs root for network namespaces; skipped"
	exit 77
fi

lab() { "$root/deploy/lab" --instance "$instance" "$@"; }
ctl() { "$build/controlplane/ctl/turnpikectl" --instance "$instance" "$@"; }

lab_session_end() {
	local status=$?
	trap - EXIT ERR
	trap '' PIPE INT TERM
	set +e
	if [[ $status -ne 0 && -d /run/turnpike/$instance ]]; then
		echo "---- last lines of the logs"
		tail -n 15 "/run/turnpike/$instance"/*.log || true
		echo "---- drops"
		ctl drops 2>/dev/null || true
	fi
	lab down || true
	jobs -p | xargs -r kill 2>/dev/null || true
	rm -rf "$scratch"
	exit "$status"
}
trap lab_session_end EXIT
trap 'echo "FAILED at ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND"' ERR
trap 'exit 130' INT TERM

lab_session_start() {
	lab up --build "$build" "$@" >"$scratch/up.log" 2>&1 || {
		cat "$scratch/up.log"
		exit 1
	}
	while IFS='=' read -r key value; do
		declare -g "$key=$value"
	done < <(lab env)
	run_dir=/run/turnpike/$instance
}

# Pid of the controlplane or the dataplane that runs now; and when it was started, in ms since the epoch.
pid_of() { cut -d' ' -f1 "$run_dir/$1.pid"; }
started_ms_of() { cut -d' ' -f2 "$run_dir/$1.pid"; }

is_running() { kill -0 "$(pid_of "$1" 2>/dev/null)" 2>/dev/null; }

# kill_running NAME: kill -9 of the process that runs now, or of the next one.
kill_running() {
	wait_until 10 is_running "$1" || die "no $1 to kill"
	kill -KILL "$(pid_of "$1")" 2>/dev/null || true
}

# ---- numbered traffic

relay_probe=$build/tests/e2e/relay_probe
packet_gun=$build/tests/e2e/packet_gun
declare -A probe_in probe_out

# An echoing peer at PEER_HOST:5000 and [PEER_HOST6]:5000.
peer_start() {
	lab exec peer -- "$relay_probe" peer --listen "$PEER_HOST:5000" >/dev/null 2>&1 &
	lab exec peer -- "$relay_probe" peer --listen "[$PEER_HOST6]:5000" >/dev/null 2>&1 &
	sleep 0.3
}

# probe_start NAME ARGUMENTS…: clients in tp-client; `probe_ready` is what they said once they were set up.
probe_start() {
	local name=$1 in out
	shift
	mkfifo "$scratch/$name.in" "$scratch/$name.out"
	lab exec client -- "$relay_probe" client --server "$TURN_HOST:$TURN_PORT" --peer "$PEER_HOST:5000" \
		--user "$TURN_USER" --password "$TURN_PASS" "$@" \
		<"$scratch/$name.in" >"$scratch/$name.out" 2>"$scratch/$name.err" &
	exec {in}>"$scratch/$name.in"
	exec {out}<"$scratch/$name.out"
	probe_in[$name]=$in
	probe_out[$name]=$out
	read -r -t 60 probe_ready <&"$out" || die "$name: no word from the clients: $(cat "$scratch/$name.err")"
	[[ $(jq -r .event <<<"$probe_ready") == ready ]] || die "$name: $probe_ready"
}

# probe_ask NAME COMMAND: sets `answer`.
probe_ask() {
	echo "$2" >&"${probe_in[$1]}"
	read -r -t 90 answer <&"${probe_out[$1]}" || die "$1: no answer to '$2'"
}

# Ends the clients; sets `answer` to their total.
probe_quit() {
	probe_ask "$1" quit
	exec {probe_in[$1]}>&- {probe_out[$1]}<&-
	rm -f "$scratch/$1.in" "$scratch/$1.out"
}

# probe_window NAME: closes the window; sets `answer`.
probe_window() { probe_ask "$1" window; }

# expect WHAT FILTER: a jq condition on `answer`.
expect() {
	jq -e "$2" >/dev/null <<<"$answer" || die "$1: not ($2) in $answer"
	passed "$1"
}

no_loss='.sent > 0 and .lost == 0 and .duplicate == 0 and .corrupt == 0 and .socket_errors == 0'
