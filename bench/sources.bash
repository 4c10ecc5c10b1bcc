# Contestants on the same source: a pcap file that net_pcap repeats without end, or the generator behind a memif. Sourced behind
# rounds.bash. Each function stores $rate and $disturbed.
# shellcheck shell=bash

# The generator and testpmd's main thread share one CPU; who is measured has the other.
worker_cpu=$(($(nproc) > 1 ? 1 : 0))
generator_cpu=0

# relay_pcap_rate NAME: what the prepared instance NAME forwards. $relay_result holds worker_rate's answer.
relay_pcap_rate() {
	local name=$1
	instance_start_dataplane "$name"
	sleep 0.3
	"$build/bench/worker_rate" --instance "$name" --seconds 0.2 >/dev/null # it runs now
	watch_begin "$dataplane_pid"
	relay_result=$("$build/bench/worker_rate" --instance "$name" --seconds "$seconds" --wait 30)
	disturbed=$(watch_end)
	bench_stop "$dataplane_pid"
	rate=$(jq '[.workers[].per_sec.tx_pkts // 0] | add' <<<"$relay_result")
	jq -e '[.workers[].per_sec | (.rx_pkts // 0) - (.tx_pkts // 0)] | add | fabs < 2000' <<<"$relay_result" >/dev/null || {
		echo "the relay of $name dropped packets: $relay_result"
		return 1
	}
}

# macswap_start DEVICE [MBUFS]: testpmd in the background, commands by file descriptor 8; its log in $macswap_log.
macswap_start() {
	macswap_log=$bench_dir/macswap.log
	rm -f "$bench_dir/macswap.in"
	mkfifo "$bench_dir/macswap.in"
	exec 8<>"$bench_dir/macswap.in"
	"${bench_netns[@]}" "$root/bench/peers/macswap" "$1" "$worker_cpu" "${2:-32768}" <"$bench_dir/macswap.in" >"$macswap_log" 2>&1 &
	macswap_pid=$!
	bench_pids+=("$macswap_pid")
	local i
	for ((i = 0; i < 300; i++)); do
		if grep -qs 'Start automatic packet forwarding' "$macswap_log"; then return; fi
		sleep 0.05
	done
	echo "testpmd did not start"
	return 1
}
macswap_stop() {
	echo quit >&8
	bench_stop "$macswap_pid"
	exec 8>&-
}

# macswap_pcap_rate FILE [MBUFS]: the limit: the same frames through testpmd.
macswap_pcap_rate() {
	macswap_start "net_pcap0,rx_pcap=$1,infinite_rx=1" "${2:-32768}"
	sleep 0.3
	echo "show port stats all" >&8
	watch_begin "$macswap_pid"
	sleep "$seconds"
	echo "show port stats all" >&8
	disturbed=$(watch_end)
	sleep 0.1
	macswap_stop
	# The first line tells of the time before.
	rate=$(awk '/Rx-pps:/ { v = $2 } END { print v + 0 }' "$macswap_log")
}

memif() { # ROLE
	echo "net_memif0,role=$1,id=0,socket=$bench_dir/memif.sock,socket-abstract=no,rsize=11"
}
memif_wait() {
	local i
	for ((i = 0; i < 200; i++)); do
		if [[ -S $bench_dir/memif.sock ]]; then return; fi
		sleep 0.05
	done
	echo "no memif socket came up"
	return 1
}

# blast_start ARGUMENTS…: the generator in the background. It stays until blast_end, which comes behind the end of the process
# that forwards: net_memif kills the end that is polled while the other one goes.
blast_start() {
	rm -f "$bench_dir/blast.json"
	"$build/bench/blast/blast" run --cpu "$generator_cpu" --seconds "$seconds" --warmup 0.3 --quiet --hold \
		--json "$bench_dir/blast.json" "$@" 2>"$bench_dir/blast.log" &
	blast_pid=$!
	bench_pids+=("$blast_pid")
}
# Until its report is there.
blast_wait() {
	local i
	for ((i = 0; i < 1200; i++)); do
		if [[ -s $bench_dir/blast.json ]] && jq -e . "$bench_dir/blast.json" >/dev/null 2>&1; then return; fi
		kill -0 "$blast_pid" # or it failed: the case ends
		sleep 0.05
	done
	echo "the generator does not end"
	return 1
}
blast_end() { bench_stop "$blast_pid"; }

# blast_rate PID ARGUMENTS…: what comes back to the generator, every packet checked, while process PID forwards.
# $blast_result holds its report. Ends with blast_end.
blast_rate() {
	local pid=$1
	shift
	watch_begin "$pid"
	blast_start "$@"
	blast_wait
	disturbed=$(watch_end)
	blast_result=$(<"$bench_dir/blast.json")
	disturbed_by "$blast_result"
	rate=$(jq .received_pps <<<"$blast_result")
	jq -e '.corrupted + .bad_checksum + .misdirected + .duplicates == 0' <<<"$blast_result" >/dev/null || {
		echo "the generator got back what it must not: $blast_result"
		return 1
	}
}

# relay_memif_rate NAME ARGUMENTS…: the prepared instance NAME behind a memif.
relay_memif_rate() {
	local name=$1
	shift
	rm -f "$bench_dir/memif.sock"
	instance_start_dataplane "$name"
	memif_wait
	blast_rate "$dataplane_pid" --port "$(memif client)" "$@"
	bench_stop "$dataplane_pid"
	blast_end
}
macswap_memif_rate() {
	rm -f "$bench_dir/memif.sock"
	macswap_start "$(memif server)"
	memif_wait
	blast_rate "$macswap_pid" --port "$(memif client)" --echo "$@"
	macswap_stop
	blast_end
}

# sfu_config NAME SESSIONS WORKERS: an instance with the SFU on and one port, which receives nothing.
sfu_config() {
	local file
	file=$(instance_config "$1" 64 256 "$3" net_null0,no-rx=1)
	cat >>"$file" <<-YAML
	sfu:
	  max_sessions: $2
	  max_tracks: $2
	  max_subscriptions: $2
	YAML
	echo "$file"
}
