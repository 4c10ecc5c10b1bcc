# Starting, watching and removing the two processes of one instance; sourced by deploy/run and deploy/lab.
# The caller sets: instance, build (directory with the binaries), root (of the source tree).

run_base=${TURNPIKE_RUN_DIR:-/run/turnpike}
shm_base=${TURNPIKE_SHM_DIR:-/dev/shm/turnpike}

fail() {
	echo "$(basename "$0"): $*" >&2
	exit 2
}

require_root() {
	[[ $(id -u) -eq 0 ]] || fail "needs root for network namespaces and AF_XDP; run it with sudo"
}

instance_check_name() {
	[[ $instance =~ ^[a-z0-9][a-z0-9-]{0,15}$ ]] ||
		fail "'$instance' is no instance name; take up to 16 small letters, digits and dashes"
	run_dir=$run_base/$instance
	shm_dir=$shm_base/$instance
}

# Binaries by name, wherever the build tree or the installation has them.
instance_find_binaries() {
	local name
	controlplane=$build/controlplane/turnpike-controlplane
	dataplane=$build/dataplane/turnpike-dataplane
	turnpikectl=$build/controlplane/ctl/turnpikectl
	for name in "$controlplane" "$dataplane" "$turnpikectl"; do
		[[ -x $name ]] || fail "$name is not there; build it: meson setup $build $root && ninja -C $build"
	done
}

# veth_deliver_xdp_tx NETNS INTERFACE: an answer that the filter itself sends (XDP_TX) is delivered at once only when the
# other end of the veth runs a native XDP program as well; GRO alone leaves it waiting for the next packet.
veth_deliver_xdp_tx() {
	local object=$build/bpf/xdp_pass.bpf.o command=()
	[[ -e $object ]] || fail "$object is not there; build it: ninja -C $build"
	[[ -z $1 ]] || command=(nsenter --net="/run/netns/$1")
	"${command[@]}" ip link set dev "$2" xdpdrv obj "$object" sec xdp
}

# instance_start NETNS CONFIG: both processes under their supervisors. NETNS may be empty.
instance_start() {
	local netns=$1 config=$2 option=()
	[[ -n $netns ]] && option=(--netns "$netns")
	mkdir -p "$run_dir"
	: >"$run_dir/controlplane.log"
	: >"$run_dir/dataplane.log"
	setsid "$root/deploy/supervise" --state "$run_dir" --name controlplane "${option[@]}" -- \
		"$controlplane" --config "$config" --instance "$instance" </dev/null >/dev/null 2>&1 &
	setsid "$root/deploy/supervise" --state "$run_dir" --name dataplane "${option[@]}" -- \
		"$dataplane" --instance "$instance" </dev/null >/dev/null 2>&1 &
}

# Both processes say that they run. Fails early when one refuses its configuration.
instance_wait_ready() {
	local deadline=$((SECONDS + ${1:-30})) name
	until instance_is_ready; do
		for name in controlplane dataplane; do
			if [[ -e $run_dir/$name.failed ]]; then
				echo "$name refuses to start:" >&2
				tail -n 5 "$run_dir/$name.log" >&2
				return 1
			fi
		done
		if ((SECONDS >= deadline)); then
			echo "Not ready in time. The last lines of the logs:" >&2
			tail -n 8 "$run_dir/controlplane.log" "$run_dir/dataplane.log" >&2
			return 1
		fi
		sleep 0.1
	done
}

instance_is_ready() {
	"$turnpikectl" --instance "$instance" --json status 2>/dev/null |
		jq -e '.controlplane.state == "running" and .dataplane.state == "running"' >/dev/null 2>&1
}

# Ends the supervisor NAME and with it its process.
instance_stop_one() {
	local name=$1 pid
	pid=$(cat "$run_dir/$name.supervisor" 2>/dev/null) || return 0
	# A stale file may name somebody else's process by now.
	grep -qs "deploy/supervise" "/proc/$pid/cmdline" || return 0
	kill -TERM "$pid" 2>/dev/null || return 0
	for _ in {1..70}; do
		kill -0 "$pid" 2>/dev/null || return 0
		sleep 0.1
	done
	kill -KILL "$pid" 2>/dev/null || true
}

instance_stop() {
	instance_stop_one dataplane
	instance_stop_one controlplane
}

# Takes everything away that outlives the processes on purpose: segments, pinned maps, run directory.
instance_remove() {
	if mountpoint -q "$run_dir/bpf"; then
		umount -l "$run_dir/bpf"
	fi
	rm -rf "$shm_dir" "$run_dir"
	rmdir "$run_base" "$shm_base" 2>/dev/null || true
}
