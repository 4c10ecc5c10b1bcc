#!/bin/bash
# Clients over UDP, TCP and TLS come and go, some of them without a word, on few relayed ports: CHURN_SECONDS (30, or 600 for a
# long look). Afterwards no allocation, port or memory is missing.
. "$(dirname "$0")/lab_session.bash"
seconds=${CHURN_SECONDS:-30}
lab_session_start
peer_start

# memory PROCESS FIELD, in KiB: VmData is what it has asked for, RssAnon what it has touched of that.
memory() { awk -v field="$2:" '$1 == field { print $2 }' "/proc/$(pid_of "$1")/status"; }
free_ports() { ctl --json status | jq -c '[.relay.addresses[].free_ports]'; }

# round N: everybody once. The last clients are killed, and an operator ends what they leave.
n_allocations=0
n_lost=0 # of streams
round() {
	local transport port
	for transport in udp tcp tls; do
		port=$TURN_PORT
		[[ $transport != tls ]] || port=$TURN_TLS_PORT
		probe_start "$transport" --server "$TURN_HOST:$port" --transport $transport --clients 40 --rate 2000
		n_allocations=$((n_allocations + 40))
	done
	sleep 0.5
	for transport in udp tcp tls; do
		probe_quit "$transport"
		if [[ $transport == udp ]]; then
			expect_quietly "$transport" '.lost == 0 and .bad == 0'
		else
			expect_quietly "$transport" '.bad == 0'
			n_lost=$((n_lost + $(jq .lost <<<"$answer")))
		fi
	done
	lab exec client -- "$relay_probe" client --server "$TURN_HOST:$TURN_PORT" --peer "$PEER_HOST:5000" --user "$TURN_USER" \
		--password "$TURN_PASS" --clients 20 --rate 100 >"$scratch/silent" 2>/dev/null < <(sleep 30) &
	silent=$!
	wait_until 10 grep -q ready "$scratch/silent" || die "the silent ones do not get in"
	kill -KILL "$silent" 2>/dev/null || true
	wait "$silent" 2>/dev/null || true
	n_allocations=$((n_allocations + 20))
	ctl user kill "$TURN_USER" >/dev/null
}
expect_quietly() { jq -e "$2" >/dev/null <<<"$answer" || die "$1: not ($2) in $answer"; }

round
round
ports=$(free_ports)
n_before=$n_allocations
for process in controlplane dataplane; do
	for field in VmData RssAnon; do declare "${process}_$field=$(memory $process $field)"; done
done
deadline=$((SECONDS + seconds))
while ((SECONDS < deadline)); do round; done
wait_until 10 bash -c "'$build/controlplane/ctl/turnpikectl' --instance $instance --json status |
	jq -e '.allocations.live == 0'" || die "allocations are left: $(ctl allocations | head)"
passed "$n_allocations allocations came and went, none is left"
# What comes too late for a stream is dropped by design (streams.buffer_ms); a busy machine shows that within ten minutes.
n_late=$(ctl --json stats | jq '.streams | .dropped_age + .dropped_bytes + .dropped_total_bytes + .dropped_inject_full')
n_full=$(ctl --json drops | jq '[.drops[] | select(.reason == "stream_full").pkts] | add // 0')
((n_lost <= n_late + n_full)) || die "$n_lost messages of streams are lost, $n_late counted as late, $n_full as not fitting the ring"
passed "$n_lost messages of streams are lost, all of them counted as late"
[[ $(free_ports) == "$ports" ]] || die "free ports: $ports, then $(free_ports)"
passed "as many relayed ports are free as before: $ports"
# The ring of withdrawn table entries, 16 bytes each, is touched once from end to end: at most 64 bytes an allocation.
touched_kb=$((1024 + (n_allocations - n_before) / 16))
for process in controlplane dataplane; do
	asked=${process}_VmData
	touched=${process}_RssAnon
	asked=$(($(memory $process VmData) - ${!asked}))
	touched=$(($(memory $process RssAnon) - ${!touched}))
	((asked <= 1024 && touched <= touched_kb)) ||
		die "the $process asked for $asked KiB more (at most 1024) and touched $touched KiB (at most $touched_kb)"
	passed "the $process asked for $asked KiB more and touched $touched KiB of what it has"
done
