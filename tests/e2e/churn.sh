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
		expect_quietly "$transport" '.lost == 0 and .bad == 0'
	done
	# Not `lab`: a function in the background is a shell of its own, and killing that would leave the clients alive.
	"$root/deploy/lab" --instance "$instance" exec client -- "$relay_probe" client --server "$TURN_HOST:$TURN_PORT" \
		--peer "$PEER_HOST:5000" --user "$TURN_USER" --password "$TURN_PASS" --clients 20 --rate 100 \
		>"$scratch/silent" 2>/dev/null < <(sleep 30) &
	silent=$!
	wait_until 10 grep -q ready "$scratch/silent" || die "the silent ones do not get in"
	kill -KILL "$silent" 2>/dev/null || true
	wait "$silent" 2>/dev/null || true
	n_allocations=$((n_allocations + 20))
	ctl user kill "$TURN_USER" >/dev/null
}
expect_quietly() { jq -e "$2" >/dev/null <<<"$answer" || die "$1: not ($2) in $answer; $(where_it_went)"; }
# Before the worker, in the sockets of the test's own peer and clients, and by every counter of a drop that is not zero.
where_it_went() {
	local host
	ctl --json status | jq -c '[.ports[] | {interface, rx_missed, rx_nombuf}]'
	for host in peer client; do
		echo "$host: $(lab exec $host -- nstat -asz UdpRcvbufErrors UdpSndbufErrors TcpExtTCPRcvQDrop | grep -v '^#' | tr -s ' \n' ' ')"
	done
	ctl --json stats | jq -c '[paths(numbers) as $p | select($p | map(tostring) | join(".") | test("drop|full|missed|refused"))
		| {key: ($p | map(tostring) | join(".")), value: getpath($p)} | select(.value > 0)] | from_entries'
}

round
round
ports=$(free_ports)
for process in controlplane dataplane; do
	for field in VmData RssAnon; do declare "${process}_$field=$(memory $process $field)"; done
done
deadline=$((SECONDS + seconds))
while ((SECONDS < deadline)); do round; done
wait_until 10 bash -c "'$build/controlplane/ctl/turnpikectl' --instance $instance --json status |
	jq -e '.allocations.live == 0'" || die "allocations are left: $(ctl allocations | head)"
passed "$n_allocations allocations came and went, none is left"
[[ $(free_ports) == "$ports" ]] || die "free ports: $ports, then $(free_ports)"
passed "as many relayed ports are free as before: $ports"
for process in controlplane dataplane; do
	asked=${process}_VmData
	touched=${process}_RssAnon
	asked=$(($(memory $process VmData) - ${!asked}))
	touched=$(($(memory $process RssAnon) - ${!touched}))
	((asked <= 1024 && touched <= 1024)) ||
		die "the $process asked for $asked KiB more and touched $touched KiB, of each at most 1024"
	passed "the $process asked for $asked KiB more and touched $touched KiB of what it has"
done
