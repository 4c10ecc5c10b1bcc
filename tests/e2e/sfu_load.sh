#!/bin/bash
# Publishers and watchers of the SFU load generator, which verifies every packet: two SRTP profiles, many rooms, simulcast, loss,
# a narrow link, and the death of both processes. No SRTP index may ever come twice with other bytes.
. "$(dirname "$0")/lab_session.bash"
. "$(dirname "$0")/sfu_session.bash"
lab_session_start
load_json=$scratch/load.json

# load OPTION…: from the client's namespace; its verdict is the exit code, figures are in $load_json.
load() {
	lab exec client -- timeout 100 "$build/bench/sfu/sfu_load" --whip "$WHIP_URL/{room}/{publisher}" --whep "$WHEP_URL/{room}/{publisher}" \
		--whip-token "$WHIP_TOKEN" --whep-token "$WHEP_TOKEN" --json "$load_json" "$@" >"$scratch/load.txt" 2>&1
}
# has FILTER WHAT: a jq filter over the figures is true.
has() {
	jq -e "$1" "$load_json" >/dev/null || die "$2: $(jq -c 'del(.timeline)' "$load_json")"
	passed "$2"
}

load --seconds 4 --watchers 20 --max-loss 0.001 || die "$(cat "$scratch/load.txt")"
has '.profile == "AEAD_AES_128_GCM" and .watchers == 20' "20 watchers, GCM: the packets in order, unchanged"
has '.direct > 20 * 4 * 180' "all that was published"

load --seconds 4 --watchers 5 --profiles SRTP_AES128_CM_SHA1_80 || die "$(cat "$scratch/load.txt")"
has '.profile == "AES_CM_128_HMAC_SHA1_80"' "a client without GCM gets AES_CM_128_HMAC_SHA1_80"

load --seconds 4 --rooms 6 --publishers 2 --watchers 3 --temporal 3 || die "$(cat "$scratch/load.txt")"
has '.publishers == 12 and .watchers == 36 and .in_the_dark == 0' "6 rooms of 2 publishers, 3 watchers each"

load --seconds 6 --watchers 8 --layers 3 --temporal 3 --bitrate 1700000 || die "$(cat "$scratch/load.txt")"
has '.timeline[-1].at_layer == [0, 0, 8]' "simulcast: all watchers are at the highest layer in the end"

lose client 5
load --seconds 15 --watchers 4 --max-loss 0.01 --no-audio || die "$(cat "$scratch/load.txt")"
lose client 0
has '.expected - .direct > .expected * 0.02' "with 5 % loss both ways packets are lost on the wire"
has '.repaired > 0 and .lost_share < 0.01' "and less than 1 % after retransmission"

# The publisher's packets leave through the same interface, but only what goes toward the client is throttled.
load --seconds 32 --warmup 5 --watchers 1 --layers 3 --temporal 3 --bitrate 1700000 --max-loss 0.5 &
load_pid=$!
sleep 12
throttle client 400
throttled_at=$(date +%s%3N)
sleep 10
throttle client 0
released_at=$(date +%s%3N)
wait "$load_pid" || die "$(cat "$scratch/load.txt")"
# When the video left the top layer for good, and when it was back, on the generator's clock.
read -r down_ms back_ms < <(jq -r '[.timeline[] | select(.at_layer[2] == 0) | .ms] | "\(min) \(max)"' "$load_json")
[[ $down_ms != null ]] || die "it never left the highest layer: $(jq -c '.timeline | map(.kbps)' "$load_json")"
has '.timeline[-1].at_layer == [0, 0, 1]' "a throttled watcher is back at the highest layer in the end"
low_ms=$((back_ms - down_ms))
throttled_ms=$((released_at - throttled_at))
((low_ms > throttled_ms - 3000 && low_ms < throttled_ms + 10000)) ||
	die "throttled for $throttled_ms ms, below the highest layer for $low_ms ms"
passed "throttled for $throttled_ms ms, below the highest layer for $low_ms ms: down within 3 s, back within 10 s"

load --seconds 16 --watchers 20 --layers 3 --temporal 3 --max-loss 0.05 &
load_pid=$!
sleep 7
kill -KILL "$(pid_of dataplane)"
sleep 5
kill -KILL "$(pid_of controlplane)"
wait "$load_pid" || die "$(cat "$scratch/load.txt")"
has '.index_reused == 0 and .forged == 0' "both processes killed: no SRTP index came twice with other bytes"
has '.longest_gap_ms.max < 2000' "the longest pause of a watcher was $(jq .longest_gap_ms.max "$load_json") ms"
