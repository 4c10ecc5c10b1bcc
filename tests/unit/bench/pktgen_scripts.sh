#!/bin/bash
# The Lua scripts of bench/pktgen against a stand-in for Pktgen's API: RFC 2544 §26.1 finds the highest rate without loss, the
# throughput script tells what was sent and came back. The link carries 1 M packets per second.
#   pktgen_scripts.sh LUA SCRIPTS STAND_IN
set -Eeuo pipefail
trap 'echo "failed at line $LINENO: $BASH_COMMAND"' ERR
lua=$1 scripts=$2 stand_in=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LUA_PATH="$stand_in/?.lua;;" TURNPIKE_PKTGEN=$scripts TURNPIKE_JSON=$work/result.json TURNPIKE_SECONDS=2

# search CAPACITY: the share of the link in percent that the search ends with.
search() {
	MOCK_CAPACITY=$1 "$lua" "$scripts/search.lua" >"$work/out"
	jq .percent "$work/result.json"
}
within() { awk -v got="$1" -v most="$2" -v less="$3" 'BEGIN { exit !(got <= most && got >= most - less) }'; }

# Never above what is forwarded, and below it by no more than the resolution.
for capacity in 123456 500000 637000 990000; do
	within "$(search $capacity)" "$(awk -v c=$capacity 'BEGIN { print c / 1e4 }')" 1
done
within "$(TURNPIKE_RESOLUTION=0.1 search 637000)" 63.7 0.1
# A relay that keeps up is asked once.
[[ $(search 2000000) == 100 && $(grep -c 'of the link' "$work/out") == 1 ]]
# Loss below the tolerance passes, above it does not: 64.3 % of 100 lose less than 1 % of 65 %.
within "$(TURNPIKE_TOLERANCE=0.01 TURNPIKE_RESOLUTION=0.01 search 637000)" 64.35 0.02
# Nothing passes: said so, and no result of an earlier search.
rm "$work/result.json"
if MOCK_CAPACITY=2000000 MOCK_ALWAYS_LOSE=1 "$lua" "$scripts/search.lua" >"$work/out"; then
	echo "a search that found nothing ended with 0"
	exit 1
fi
grep -q 'no rate passed' "$work/out"
[[ ! -e $work/result.json ]]

MOCK_CAPACITY=300000 TURNPIKE_PERCENT=50 "$lua" "$scripts/throughput.lua" >/dev/null
jq -e '.sent == 1000000 and .received == 600000 and .lost == 400000 and .sent_pps == 500000 and .received_pps == 300000' \
	"$work/result.json" >/dev/null
echo "ok"
