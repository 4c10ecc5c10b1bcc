#!/bin/bash
# Real browsers against our ICE, DTLS (cookie first, fragmented ClientHello) and data channels: two network
# namespaces of the test's own, the browser in one and the peer in the other.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
peer=$TURNPIKE_BUILD/tests/e2e/transport_peer
[[ $(id -u) -eq 0 ]] || exit 77
near=tp-transport-near-$$
far=tp-transport-far-$$

end() {
	ip netns pids "$far" 2>/dev/null | xargs -r kill 2>/dev/null || true
	ip netns pids "$near" 2>/dev/null | xargs -r kill 2>/dev/null || true
	ip netns del "$near" 2>/dev/null || true
	ip netns del "$far" 2>/dev/null || true
}
trap end EXIT
trap 'exit 130' INT TERM

ip netns add "$near"
ip netns add "$far"
ip link add near netns "$near" type veth peer name far netns "$far"
for side in near far; do
	netns=${!side}
	ip -n "$netns" link set lo up
	ip -n "$netns" link set "$side" up
done
ip -n "$near" addr add 198.18.44.1/24 dev near
ip -n "$far" addr add 198.18.44.2/24 dev far
# Firefox gathers no candidate at all without a default route.
ip -n "$near" route add default via 198.18.44.2

run() {
	ip netns exec "$near" timeout 85 node "$here/browser/transport.mjs" "$1" 198.18.44.2:4444 \
		ip netns exec "$far" "$peer"
}

run chromium
if command -v firefox-esr >/dev/null; then
	run firefox
fi
