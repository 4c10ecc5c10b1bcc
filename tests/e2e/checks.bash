# How the end-to-end tests count what held and end at what did not; sourced.
n_checks=0

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
