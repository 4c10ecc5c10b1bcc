#!/bin/bash
# A port without a kernel driver, as vfio-pci leaves it: its TAP twin carries ARP, ping and TCP for the kernel, while the worker
# answers STUN Binding itself and relays. Two workers share the port's one queue.
set -Eeuo pipefail

root=$(dirname "$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")")
build=${TURNPIKE_BUILD:-$root/build}
instance=twin-$$
relay=tp-relay-$instance
client=tp-client-$instance
scratch=$(mktemp -d)
# shellcheck source=tests/e2e/checks.bash
. "$root/tests/e2e/checks.bash"
pids=()

if [[ $(id -u) -ne 0 || ! -c /dev/net/tun ]]; then
	echo "needs root and /dev/net/tun; skipped"
	exit 77
fi

session_end() {
	local status=$?
	trap - EXIT
	[[ $status -eq 0 ]] || tail -n 20 "$scratch"/*.log || true
	[[ ${#pids[@]} -eq 0 ]] || kill "${pids[@]}" 2>/dev/null || true
	wait || true
	ip netns del "$relay" 2>/dev/null || true
	ip netns del "$client" 2>/dev/null || true
	rm -rf "$scratch" "/dev/shm/turnpike/$instance" "/run/turnpike/$instance"
	exit "$status"
}
trap session_end EXIT
trap 'exit 130' INT TERM

ctl() { "$build/controlplane/ctl/turnpikectl" --instance "$instance" "$@"; }
counter() { ctl --json stats | grep -o "\"$1\": *[0-9]*" | head -n 1 | grep -o '[0-9]*$'; }

ip netns add "$relay"
ip netns add "$client"
ip -n "$relay" link set lo up
cat >"$scratch/turnpike.yaml" <<YAML
instance: $instance
realm: twin.turnpike
listeners: [{address: 10.9.0.2}]
relay: {addresses: [10.9.0.2]}
users: [{name: lab, password: lab-secret}]
rfc5766_channels: true
peers: {allow: [10.9.0.0/24]}
workers: {count: 2}
ports:
  - device: "net_tap0,iface=wire0"
    interface: twin0
    kernel_path: tap
    queues: 1
YAML
ip netns exec "$relay" "$build/controlplane/turnpike-controlplane" --config "$scratch/turnpike.yaml" \
	>"$scratch/controlplane.log" 2>&1 &
pids+=($!)
ip netns exec "$relay" "$build/dataplane/turnpike-dataplane" --instance "$instance" \
	>"$scratch/dataplane.log" 2>&1 &
pids+=($!)
wait_until 15 ip -n "$relay" link show twin0 || die "no TAP twin"
wait_until 15 grep -q '2 workers on 1 ports' "$scratch/dataplane.log" || die "the dataplane does not run"

# The kernel's end of the port's device is the wire; the far end of it is the client.
ip -n "$relay" link set wire0 netns "$client"
ip -n "$client" link set wire0 address 02:00:00:00:00:09
ip netns exec "$client" ethtool -K wire0 tx off >/dev/null
ip -n "$client" addr add 10.9.0.1/24 dev wire0
ip -n "$client" link set wire0 up
ip -n "$relay" addr add 10.9.0.2/24 dev twin0
ip -n "$relay" link set twin0 up

ip netns exec "$client" ping -q -c 3 -i 0.2 -W 2 10.9.0.2 >"$scratch/ping" || die "$(cat "$scratch/ping")"
passed "ARP and ping reach the kernel through the twin"
printf 'hello from the kernel' >"$scratch/hello"
ip netns exec "$relay" python3 -c "
import socket
s = socket.create_server(('10.9.0.2', 8080))
c, _ = s.accept()
c.sendall(open('$scratch/hello', 'rb').read())
c.close()" &
pids+=($!)
wait_until 5 bash -c "ip netns exec $relay ss -ltn | grep -q 8080" || die "no TCP server"
said=$(ip netns exec "$client" timeout 5 bash -c 'cat </dev/tcp/10.9.0.2/8080')
[[ $said == 'hello from the kernel' ]] || die "TCP brought '$said'"
passed "TCP reaches the kernel through the twin"

ip netns exec "$client" timeout 5 turnutils_stunclient 10.9.0.2 >"$scratch/stun" 2>&1 || true
grep -q 'reflexive addr: 10.9.0.1' "$scratch/stun" || die "$(cat "$scratch/stun")"
[[ $(counter binding_answered) -ge 1 ]] || die "the worker did not count the Binding answer"
passed "the worker answers STUN Binding where there is no filter"

ip netns exec "$client" timeout 60 turnutils_peer >/dev/null 2>&1 &
pids+=($!)
ip netns exec "$client" timeout 60 turnutils_uclient -c -u lab -w lab-secret -e 10.9.0.1 -n 50 -m 4 10.9.0.2 \
	>"$scratch/uclient" 2>&1 || true
grep -q 'tot_recv_msgs=200' "$scratch/uclient" && grep -q 'Total lost packets 0 (0.000000%)' "$scratch/uclient" ||
	die "$(tail -n 5 "$scratch/uclient")"
passed "turnutils_uclient relays through the same port, nothing lost"
# The wire's end says that nothing listens there: that is the client's (RFC 8656 §11.5), while ping stays the kernel's.
said=$(ip netns exec "$client" timeout 20 "$build/tests/e2e/icmp_probe" client --server 10.9.0.2:3478 --peer 10.9.0.1:9 \
	--user lab --password lab-secret)
[[ $said == *'"type": 3, "code": 3'*'"10.9.0.1:9"'* ]] || die "the client heard '$said'"
[[ $(counter icmp_relayed) -ge 1 ]] || die "the worker did not count the ICMP error"
ip netns exec "$client" ping -q -c 1 -W 2 10.9.0.2 >/dev/null || die "ping does not reach the kernel any more"
passed "rfc8656_11_5 the worker takes ICMP errors about relayed ports, and leaves ping to the kernel"
[[ $(counter to_kernel) -gt 0 && $(counter from_kernel) -gt 0 ]] || die "the twin's counters stand still"
passed "both directions of the twin are counted"
