# A lab of the test's own, gone when the test ends however it ends; sourced by the end-to-end tests.
# Reads TURNPIKE_BUILD: the build directory whose binaries are tested.
set -Eeuo pipefail

root=$(dirname "$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")")
build=${TURNPIKE_BUILD:-$root/build}
instance=e2e-$$
scratch=$(mktemp -d)
n_checks=0

if [[ $(id -u) -ne 0 ]]; then
	echo "needs root for network namespaces; skipped"
	exit 77
fi

lab() { "$root/deploy/lab" --instance "$instance" "$@"; }
ctl() { "$build/controlplane/ctl/turnpikectl" --instance "$instance" "$@"; }

lab_session_end() {
	local status=$?
	trap - EXIT ERR
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

passed() {
	n_checks=$((n_checks + 1))
	echo "ok $n_checks - $*"
}

die() {
	echo "FAILED: $*"
	exit 1
}

# wait_until SECONDS COMMAND…: polls; false when it never came true.
wait_until() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < deadline)) || return 1
		sleep 0.05
	done
}

# Pid of the controlplane or the dataplane that runs now; and when it was started, in ms since the epoch.
pid_of() { cut -d' ' -f1 "$run_dir/$1.pid"; }
started_ms_of() { cut -d' ' -f2 "$run_dir/$1.pid"; }
