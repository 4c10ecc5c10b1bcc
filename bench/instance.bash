# A bench instance of Turnpike: its configuration, its segments, its processes. Sourced by bench/run's cases.
# Everything lives below $bench_dir, a directory that the caller made and removes.
# shellcheck shell=bash

# cpu_list N: N CPUs for workers, from ${worker_cpu:-1} on, round and round.
cpu_list() {
	local i
	for ((i = 0; i < $1; i++)); do
		printf '%s%d' "$([[ $i == 0 ]] || echo ', ')" $(((${worker_cpu:-1} + i) % $(nproc)))
	done
}

# instance_config NAME FLOWS MEMORY_MB WORKERS DEVICE…: writes $bench_dir/NAME.yaml; prints its path.
# The addresses are those of bench/blast/flow_plan.h. A DEVICE that begins with af_xdp: names a kernel interface.
instance_config() {
	local name=$1 flows=$2 memory_mb=$3 workers=$4 file=$bench_dir/$1.yaml i device
	shift 4
	{
		cat <<-YAML
		instance: $name
		realm: bench.turnpike
		listeners:
		  - address: 198.18.0.2
		  - address: "fd00:18::2"
		relay:
		  min_port: 1024
		  max_port: 65535
		  addresses:
		YAML
		for i in {1..16}; do
			printf '    - 198.18.1.%d\n    - "fd00:18:0:1::%x"\n' "$i" "$i"
		done
		cat <<-YAML
		users:
		  - name: bench
		    password: bench-secret
		peers:
		  allow: [198.18.0.0/15, "fd00:18::/32"]
		limits:
		  punt_per_source_per_second: 0
		  filter_stun_per_source_per_second: 0
		  filter_answer_credit_bytes: 0
		memory_mb: $memory_mb
		tables:
		  max_allocations: $((flows + 64))
		  max_flows: $((flows + 64))
		workers:
		  count: $workers
		  cpus: [$(cpu_list "$workers")]
		  idle: poll
		ports:
		YAML
		for device in "$@"; do
			if [[ $device == af_xdp:* ]]; then
				printf '  - device: af_xdp\n    interface: %s\n' "${device#af_xdp:}"
			else
				printf '  - device: "%s"\n    kernel_path: none\n    gateway_mac: "02:00:c6:12:00:99"\n' \
					"$device"
			fi
		done
	} >"$file"
	echo "$file"
}

# instance_start_dataplane NAME: in the background; its pid in $dataplane_pid.
instance_start_dataplane() {
	"${bench_netns[@]}" "$build/dataplane/turnpike-dataplane" --instance "$1" \
		>"$bench_dir/$1.dataplane.log" 2>&1 &
	dataplane_pid=$!
	bench_pids+=("$dataplane_pid")
}

# instance_start_controlplane CONFIG: in the background; its pid in $controlplane_pid.
instance_start_controlplane() {
	local name
	name=$(basename "$1" .yaml)
	"${bench_netns[@]}" "${controlplane_prefix[@]}" "$build/controlplane/turnpike-controlplane" --config "$1" \
		>"$bench_dir/$name.controlplane.log" 2>&1 &
	controlplane_pid=$!
	bench_pids+=("$controlplane_pid")
}

# bench_stop PID: ends one process and waits for it.
bench_stop() {
	local pid=$1 i
	kill "$pid" 2>/dev/null || true
	for ((i = 0; i < 50; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

# instance_remove NAME: its segments and run directory.
instance_remove() {
	rm -rf "${TURNPIKE_SHM_DIR:?}/$1"
	umount "${TURNPIKE_RUN_DIR:?}/$1/bpf" 2>/dev/null || true
	rm -rf "${TURNPIKE_RUN_DIR:?}/$1"
}
