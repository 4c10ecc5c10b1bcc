#!/bin/bash
# NAT behaviour discovery (RFC 5780) on two addresses: coturn's turnutils_natdiscovery and our own probe find out what
# stands between them and the relay, with no NAT and behind NATs of each kind that nftables can be.
. "$(dirname "$0")/lab_session.bash"

cat >"$scratch/lab.yaml" <<-YAML
	instance: $instance
	realm: lab.turnpike
	listeners:
	  - {address: 198.18.0.2, port: 3478}
	  - {address: 198.18.0.2, port: 3479}
	  - {address: 198.18.0.3, port: 3478}
	  - {address: 198.18.0.3, port: 3479}
	  - {address: "fd00:18::2", port: 3478}
	nat_discovery:
	  - {address: 198.18.0.2, alternate_address: 198.18.0.3}
	relay: {addresses: [198.18.0.3, "fd00:18::2"]}
	users: [{name: lab, password: lab-secret}]
	rest_secrets: [lab-rest-secret]
	peers: {allow: [198.18.0.0/15, "fd00:18::/32"]}
	ports: [{device: af_xdp, interface: eth0}]
YAML
chmod 0600 "$scratch/lab.yaml"

# The same without one of the four listeners is refused where it is wrong.
sed '/198.18.0.3, port: 3479/d' "$scratch/lab.yaml" >"$scratch/three.yaml"
said=$("$build/controlplane/ctl/turnpikectl" config check "$scratch/three.yaml" 2>&1) && die "three listeners were accepted"
grep -q 'three.yaml:9: nat_discovery\[0\]: no listener for UDP at 198.18.0.3:3479' <<<"$said" || die "$said"
passed "without the fourth listener: ${said##*/}"

lab_session_start --config "$scratch/lab.yaml"
ctl_binary=$build/controlplane/ctl/turnpikectl
router=tp-nat-$instance
home=tp-home-$instance
nat_down() {
	local status=$?
	ip netns delete "$home" 2>/dev/null
	ip netns delete "$router" 2>/dev/null
	(exit "$status")
	lab_session_end
}
trap nat_down EXIT

# A router on the lab's bridge, and a home behind it.
ip netns add "$router"
ip netns add "$home"
in_router() { ip netns exec "$router" "$@"; }
in_home() { ip netns exec "$home" "$@"; }
ip link add nat netns "tp-wire-$instance" type veth peer name out netns "$router"
ip link add in netns "$router" type veth peer name eth0 netns "$home"
ip -n "tp-wire-$instance" link set nat master bridge up
in_router ethtool -K out tx off >/dev/null
in_home ethtool -K eth0 tx off >/dev/null
in_router sysctl -qw net.ipv4.ip_forward=1
ip -n "$router" address add 198.18.0.30/24 dev out
ip -n "$router" address add 10.99.0.1/24 dev in
ip -n "$router" link set out up
ip -n "$router" link set in up
ip -n "$home" address add 10.99.0.2/24 dev eth0
ip -n "$home" link set lo up
ip -n "$home" link set eth0 up
ip -n "$home" route add default via 10.99.0.1
wait_until 5 in_home ping -c 1 -W 1 10.99.0.1 || die "the home does not reach its router"

# nat OUTWARD [INWARD]: rules of postrouting and prerouting; a NAT without memory of what was there before.
nat() {
	in_router nft -f - <<-NFT
		flush ruleset
		table ip nat {
			set spoken_to { type inet_service . ipv4_addr; flags dynamic,timeout; timeout 1m; }
			chain out {
				type nat hook postrouting priority 100;
				oifname "out" $1
			}
			chain remember {
				type filter hook postrouting priority 90;
				oifname "out" update @spoken_to { udp sport . ip daddr }
			}
			chain in {
				type nat hook prerouting priority -100;
				${2:+iifname \"out\" $2}
			}
		}
	NFT
	in_router sh -c 'command -v conntrack >/dev/null && conntrack -F' >/dev/null 2>&1 || true
}

# discover WHERE: sets mapping and filtering, as turnutils_natdiscovery says them.
discover() {
	mapping=$("$1" timeout 40 turnutils_natdiscovery -m -p 3478 198.18.0.2 2>&1) || true
	filtering=$("$1" timeout 40 turnutils_natdiscovery -f -p 3478 198.18.0.2 2>&1) || true
}
# probe WHERE: sets answer.
probe() { answer=$("$1" timeout 60 "$ctl_binary" --json probe stun stun:198.18.0.2) || die "probe: $answer"; }

# expect_nat NAME WHERE NAT MAPPING FILTERING MAPPING_WORDS FILTERING_WORDS
expect_nat() {
	discover "$2"
	grep -qiE "$6" <<<"$mapping" || die "$1: turnutils_natdiscovery -m: $mapping"
	grep -qiE "$7" <<<"$filtering" || die "$1: turnutils_natdiscovery -f: $filtering"
	passed "$1: turnutils_natdiscovery: $(grep -iE "$6" <<<"$mapping" | head -n 1), $(grep -iE "$7" <<<"$filtering" | head -n 1)"
	probe "$2"
	expect "$1: probe: $4 mapping, $5 filtering" ".ok and any(.checks[]; .check == \"nat mapping\" and .nat == $3 and .mapping == \"$4\")
		and any(.checks[]; .check == \"nat filtering\" and .filtering == \"$5\")"
}

in_client() { lab exec client -- "$@"; }
in_peer() { lab exec peer -- "$@"; }

expect_nat "no NAT" in_client false endpoint-independent endpoint-independent \
	"Endpoint Independent Mapping" "Endpoint Independent Filtering"
nat masquerade
expect_nat "masquerade" in_home true endpoint-independent "address and port-dependent" \
	"Endpoint Independent Mapping" "Address and Port Dependent Filtering"
nat "masquerade fully-random"
expect_nat "masquerade with random ports" in_home true "address and port-dependent" "address and port-dependent" \
	"Address and Port Dependent Mapping" "Address and Port Dependent Filtering"
nat masquerade "meta l4proto udp dnat to 10.99.0.2"
expect_nat "open to all" in_home true endpoint-independent endpoint-independent \
	"Endpoint Independent Mapping" "Endpoint Independent Filtering"
nat masquerade "udp dport . ip saddr @spoken_to dnat to 10.99.0.2"
expect_nat "open to addresses spoken to" in_home true endpoint-independent address-dependent \
	"Endpoint Independent Mapping" "Address Dependent Filtering"

# Padded requests are longer than the MTU, and so are their answers: fragments both ways.
padded=$(in_peer timeout 40 turnutils_natdiscovery -m -f -P -p 3478 198.18.0.2 2>&1) || true
[[ $(grep -c 'RFC 5780 response' <<<"$padded") -ge 4 ]] || die "with padding: $padded"
grep -q 'Endpoint Independent Mapping' <<<"$padded" || die "with padding: $padded"
grep -q 'Endpoint Independent Filtering' <<<"$padded" || die "with padding: $padded"
answer=$(ctl --json stats)
expect "padded requests are answered, in fragments" '.dataplane.reassembled >= 4 and .dataplane.fragmented >= 4'

# Plain requests are the filter's, with the other address; those that change something are the worker's.
answer=$(ctl --json filter)
expect "the filter answered the plain ones" 'any(.counters[]; .counter == "answered_binding" and .pkts >= 20)'
