#!/bin/bash
# What the network says of relayed datagrams reaches whom it is for (RFC 8656 §11.5, §13, §14), with the kernel's own ICMP: a closed
# port, a narrow link behind a router, hops that end; and a peer learns what is too big for the way to the client.
. "$(dirname "$0")/lab_session.bash"
lab_session_start --relay-only

icmp_probe=$build/tests/e2e/icmp_probe
far=tp-far-$instance
trap 'ip netns del "$far" 2>/dev/null || true; lab_session_end' EXIT

# heard ARGUMENTS…: sets `answer` to the error that the client was told of.
heard() {
	answer=$(timeout 30 "$root/deploy/lab" --instance "$instance" exec client -- "$icmp_probe" client \
		--server "$TURN_HOST:$TURN_PORT" --user "$TURN_USER" --password "$TURN_PASS" "$@") ||
		die "no ICMP attribute for: $*"
}

worker_counts() { ctl --json stats | grep -o "\"$1\": *[0-9]*" | head -n 1 | grep -o '[0-9]*$'; }

# ---- a closed port

heard --peer "$PEER_HOST:9"
expect "rfc8656_11_5 port unreachable over IPv4, a channel bound" \
	".type == 3 and .code == 3 and .error_data == 0 and .peer == \"$PEER_HOST:9\" and .has_data == false"
heard --peer "$PEER_HOST:9" --indications
expect "rfc8656_11_5 port unreachable over IPv4, Send indications" \
	".type == 3 and .code == 3 and .error_data == 0 and .peer == \"$PEER_HOST:9\""
heard --peer "[$PEER_HOST6]:9" --family 6
expect "rfc8656_11_5 port unreachable over IPv6 to a client over IPv4" \
	".type == 1 and .code == 4 and .error_data == 0 and .peer == \"[$PEER_HOST6]:9\""

# ---- a router and a narrow link behind it: the peer's host forwards to one with an MTU of 1280 bytes

ip netns add "$far"
ip -n "tp-peer-$instance" link add narrow mtu 1280 type veth peer name narrow netns "$far"
ip -n "$far" link set narrow mtu 1280
for end in "tp-peer-$instance 1" "$far 2"; do
	read -r netns host <<<"$end"
	ip -n "$netns" address add "198.19.7.$host/24" dev narrow
	ip -n "$netns" address add "fd00:18:7::$host/64" dev narrow nodad
	ip -n "$netns" link set narrow up
done
ip -n "$far" route add default via 198.19.7.1
ip -n "$far" route add default via fd00:18:7::1
ip netns exec "tp-peer-$instance" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip -n "tp-relay-$instance" route add 198.19.7.0/24 via "$PEER_HOST"
ip -n "tp-relay-$instance" route add fd00:18:7::/64 via "$PEER_HOST6"

heard --peer 198.19.7.2:9 --bytes 1400
expect "rfc8656_11_5 fragmentation needed on the way to the peer, with the next hop's MTU" \
	'.type == 3 and .code == 4 and .error_data == 1280 and .peer == "198.19.7.2:9"'
heard --peer "[fd00:18:7::2]:9" --family 6 --bytes 1400
expect "rfc8656_11_5 packet too big on the way to the peer, with the next hop's MTU" \
	'.type == 2 and .code == 0 and .error_data == 1280 and .peer == "[fd00:18:7::2]:9"'
heard --peer 198.19.7.77:9
expect "rfc8656_11_5 host unreachable, said by the router" '.type == 3 and .code == 1 and .peer == "198.19.7.77:9"'

# ---- a peer that learns the MTU: framed, its datagrams of 1500 bytes do not fit the way to the client

for family in 4 6; do
	peer=$PEER_HOST:5000 server=$TURN_HOST:$TURN_PORT
	# From IPv6 to IPv4 the header that becomes smaller would make room for the framing.
	[[ $family == 4 ]] || peer=[$PEER_HOST6]:5000 server=[$TURN_HOST6]:$TURN_PORT
	mkfifo "$scratch/hold.$family"
	lab exec client -- "$icmp_probe" hold --server "$server" --user "$TURN_USER" \
		--password "$TURN_PASS" --peer "$peer" --family "$family" >"$scratch/hold.$family" &
	holder=$!
	exec 7<"$scratch/hold.$family"
	read -r -t 10 held <&7 || die "no allocation"
	relayed=$(jq -r .relayed <<<"$held")
	size=$((family == 4 ? 1472 : 1452))
	answer=$(timeout 30 "$root/deploy/lab" --instance "$instance" exec peer -- \
		"$icmp_probe" push --from "$peer" --peer "$relayed" --bytes "$size") || die "the peer learned no MTU"
	if [[ $family == 4 ]]; then
		expect "rfc8656_14 the peer's kernel learns the MTU less ChannelData" '.mtu == 1496'
		ip -n "tp-peer-$instance" route get "${relayed%:*}" | grep -q 'mtu 1496' || die "no route with that MTU"
	else
		expect "rfc8656_13_2 the peer's kernel learns the MTU less 48 bytes" '.mtu == 1452'
	fi
	read -r -t 5 answer <&7 || die "what fits did not arrive"
	expect "and what is as large as it was told arrives whole" ".bytes == $((family == 4 ? 1468 : 1404))"
	exec 7<&-
	kill "$holder" 2>/dev/null || true
done

# ---- and it is counted

(($(worker_counts icmp_relayed) >= 6)) || die "icmp_relayed is $(worker_counts icmp_relayed)"
(($(worker_counts icmp_sent) >= 2)) || die "icmp_sent is $(worker_counts icmp_sent)"
passed "icmp_relayed and icmp_sent count them"
lab exec client -- ping -c 1 -W 2 "$TURN_HOST" >/dev/null || die "ping is not the kernel's any more"
passed "ping is still the kernel's"
