#!/bin/bash
# The filter and the guard on a real veth pair between two network namespaces, judged by coturn's own
# STUN client, ping, TCP and a UDP probe. Everything lives in a private mount namespace and ends with it.
# usage: veth_filter.sh FILTER_TOOL BPF_OBJECT_DIR
set -u
if [ "$(id -u)" != 0 ]; then
	echo "skipped: network namespaces need root"
	exit 77
fi
if [ -z "${TURNPIKE_VETH_ISOLATED:-}" ]; then
	TURNPIKE_VETH_ISOLATED=1 exec unshare --mount --propagation private "$0" "$@"
fi

tool=$1
objects=$2
run=/mnt/veth
failures=0

die() {
	echo "FAIL: $*"
	exit 1
}
check() { # check WHAT EXPECTED GOT
	if [ "$2" = "$3" ]; then
		echo "ok: $1"
	else
		echo "FAIL: $1: expected '$2', got '$3'"
		failures=$((failures + 1))
	fi
}
in_relay() { nsenter --net=/run/netns/relay -- "$@"; }
in_client() { nsenter --net=/run/netns/client -- "$@"; }
counter() { "$tool" counter $run "$1"; }
# The client prints the address once per answer it gets.
stun() {
	in_client timeout 5 turnutils_stunclient -p 3478 "$1" 2>&1 |
		sed -n 's/.*UDP reflexive addr: \(.*\):[0-9]*$/\1/p' | sort -u
}

mkdir -p /run/netns
mount -t tmpfs tmpfs /run/netns && mount -t tmpfs tmpfs /mnt || die "cannot mount a tmpfs"
ip netns add relay && ip netns add client || die "cannot make network namespaces"
ip link add port netns relay type veth peer name port netns client || die "cannot make a veth pair"
for ns in relay client; do
	nsenter --net=/run/netns/$ns -- sh -c '
		sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.port.accept_dad=0
		sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
		ip link set lo up; ip link set port up' || die "cannot configure namespace $ns"
done
in_relay sh -c 'ip addr add 198.18.0.2/24 dev port; ip addr add fd00:18::2/64 dev port nodad'
in_client sh -c 'ip addr add 198.18.0.10/24 dev port; ip addr add fd00:18::10/64 dev port nodad'
in_client ping -q -c 1 -W 2 198.18.0.2 >/dev/null || die "the veth pair does not work"

"$tool" setup $run || die "setup"

# Without filter and guard the kernel refuses; otherwise the checks below would prove nothing.
check "unguarded, the kernel refuses our ports" refused "$(in_client "$tool" probe 198.18.0.2:3478)"
check "unguarded, over IPv6 too" refused "$(in_client "$tool" probe '[fd00:18::2]:50000')"

in_relay "$tool" guard $run port || die "guard"
check "query sees the guard" "none guarded" "$(in_relay "$tool" query $run port)"
for target in 198.18.0.2:3478 198.18.0.2:50000 '[fd00:18::2]:3478' '[fd00:18::2]:50000'; do
	check "guarded, $target is silent" silent "$(in_client "$tool" probe "$target")"
done
check "the guard counted them" 12 "$(counter guard_dropped)"
check "guarded, other ports are still refused" refused "$(in_client "$tool" probe 198.18.0.2:9999)"

in_relay "$tool" attach $run port || die "attach"
check "the filter is native" "native guarded" "$(in_relay "$tool" query $run port)"
# Native XDP_TX on veth needs a native program on the peer.
in_client ip link set dev port xdp obj "$objects/xdp_pass.bpf.o" sec xdp || die "xdp_pass"

before=$(counter answered_binding)
check "turnutils_stunclient learns its address over IPv4" 198.18.0.10 "$(stun 198.18.0.2)"
check "turnutils_stunclient learns its address over IPv6" fd00:18::10 "$(stun fd00:18::2)"
[ "$(counter answered_binding)" -gt "$before" ]
check "the answers came from the filter" 0 $?

guarded=$(counter guard_dropped)
check "without a worker, relayed ports are silent" silent "$(in_client "$tool" probe 198.18.0.2:50000)"
check "without a worker, ChannelData is silent" silent "$(in_client "$tool" probe '[fd00:18::2]:3478')"
check "it was the filter that dropped them" 6 "$(counter dropped_no_worker)"
check "and not the guard" "$guarded" "$(counter guard_dropped)"
check "other ports are refused by the kernel" refused "$(in_client "$tool" probe 198.18.0.2:9999)"

in_client ping -q -c 3 -i 0.2 -W 2 198.18.0.2 >/dev/null
check "ping works" 0 $?
in_client ping -q -c 3 -i 0.2 -W 2 fd00:18::2 >/dev/null
check "ping works over IPv6" 0 $?
echo hello | in_relay timeout 5 nc -l -q 1 -p 3478 >/dev/null &
listener=$!
sleep 0.3
check "TCP to the listener's port reaches the kernel" hello \
	"$(in_client timeout 3 nc -d 198.18.0.2 3478)"
wait $listener

# The gap of a restart: the filter goes, the guard stays, the filter comes back.
in_relay "$tool" detach $run port || die "detach"
check "in the gap our ports are silent" silent "$(in_client "$tool" probe 198.18.0.2:50000)"
in_relay "$tool" attach $run port || die "attach again"
check "after it requests are answered again" 198.18.0.10 "$(stun 198.18.0.2)"

# Native XDP on veth refuses jumbo frames: the filter falls back to generic mode and works the same.
in_relay "$tool" detach $run port && in_client ip link set dev port xdp off || die "native off"
in_relay ip link set port mtu 9000 && in_client ip link set port mtu 9000 || die "mtu"
in_relay "$tool" attach $run port || die "attach, generic"
check "with jumbo frames the filter is generic" "generic guarded" "$(in_relay "$tool" query $run port)"
check "generic, requests are answered over IPv4" 198.18.0.10 "$(stun 198.18.0.2)"
check "generic, requests are answered over IPv6" fd00:18::10 "$(stun fd00:18::2)"
guarded=$(counter guard_dropped)
check "generic, relayed ports are silent" silent "$(in_client "$tool" probe 198.18.0.2:50000)"
check "generic, the filter drops them before the guard" "$guarded" "$(counter guard_dropped)"

in_relay "$tool" detach $run port && in_relay "$tool" unguard $run port || die "removal"
check "nothing is left on the port" "none open" "$(in_relay "$tool" query $run port)"
check "and the kernel refuses again" refused "$(in_client "$tool" probe 198.18.0.2:50000)"

echo "counters:"
counter all
exit $((failures != 0))
