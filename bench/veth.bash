# A wire for comparisons with programs over kernel sockets: two network namespaces and a veth pair, the relay's side with
# kernel addresses, the generator on the other end over AF_XDP. Sourced behind sources.bash.
# shellcheck shell=bash

veth_relay=bench-relay-$$
veth_outside=bench-out-$$
relay_mac=02:00:c6:12:00:02
outside_mac=02:00:c6:12:00:99

veth_up() {
	local i
	ip netns add "$veth_relay"
	ip netns add "$veth_outside"
	ip link add eth0 netns "$veth_relay" address "$relay_mac" type veth \
		peer name eth0 netns "$veth_outside" address "$outside_mac"
	ip netns exec "$veth_relay" ethtool -K eth0 tx off gro on >/dev/null
	# GRO on this end lets answers of the relay's XDP filter (XDP_TX) arrive.
	ip netns exec "$veth_outside" ethtool -K eth0 tx off gro on >/dev/null
	ip netns exec "$veth_relay" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.all.accept_ra=0
	ip -n "$veth_relay" address add 198.18.0.2/24 dev eth0
	ip -n "$veth_relay" address add fd00:18::2/64 dev eth0 nodad
	for i in {1..16}; do
		ip -n "$veth_relay" address add "198.18.1.$i/24" dev eth0
		ip -n "$veth_relay" address add "fd00:18:0:1::$(printf %x "$i")/64" dev eth0 nodad
	done
	ip -n "$veth_relay" link set lo up
	ip -n "$veth_relay" link set eth0 up
	ip -n "$veth_relay" route add 198.19.0.0/16 dev eth0
	ip -n "$veth_relay" route add 198.18.128.0/17 dev eth0
	ip netns exec "$veth_outside" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
	ip -n "$veth_outside" link set eth0 up
	# Not `ip netns exec`: it mounts a fresh /sys without the pinned maps.
	bench_netns=(nsenter --net="/run/netns/$veth_relay")
	generator_netns=(nsenter --net="/run/netns/$veth_outside")
}

# What every client and peer is to the relay's kernel: neighbours at the generator's MAC. Saves a resolution of each.
veth_neighbours() { # CLIENTS
	local i
	for ((i = 0; i < $1; i++)); do
		echo "neigh replace 198.19.$((i / 256)).$((i % 256)) lladdr $outside_mac dev eth0 nud permanent"
		echo "neigh replace 198.18.$((128 + i / 256)).$((i % 256)) lladdr $outside_mac dev eth0 nud permanent"
	done | ip -n "$veth_relay" -batch -
}

veth_down() {
	ip netns delete "$veth_relay" 2>/dev/null || true
	ip netns delete "$veth_outside" 2>/dev/null || true
}

generator_port=net_af_xdp0,iface=eth0,start_queue=0,queue_count=1,busy_budget=0

# veth_blast VERB ARGUMENTS…: the generator on its end; its report in $blast_result.
veth_blast() {
	local verb=$1
	shift
	"${generator_netns[@]}" "$build/bench/blast/blast" "$verb" --port "$generator_port" --cpu "$generator_cpu" \
		--seconds "$seconds" --quiet --json "$bench_dir/blast.json" "$@" 2>"$bench_dir/blast.log"
	blast_result=$(<"$bench_dir/blast.json")
}

# cpu_ns PID: what its threads have run so far.
cpu_ns() { cat /proc/"$1"/task/*/schedstat | awk '{ n += $1 } END { printf "%d", n }'; }
