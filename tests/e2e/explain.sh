#!/bin/bash
# `turnpikectl explain` names the true cause: each fault is really there when it is asked about.
. "$(dirname "$0")/lab_session.bash"
# Without an SFU: with one, its listeners are peers that a client may ask for.
lab_session_start --relay-only
peer_start

# explained REASON ARGUMENTS…: the verdict must be a drop for that reason, with a remedy. Sets `answer`.
explained() {
	local reason=$1
	shift
	answer=$(ctl --json explain "$@") || true
	jq -e --arg reason "$reason" '.verdict == "dropped" and .reason == $reason and (.remedy | length) > 0' \
		>/dev/null <<<"$answer" || die "explain $*: $reason expected, but: $answer"
	passed "$reason: $(jq -r .text <<<"$answer")"
}

# said WORDS: also in what the last explanation says.
said() { jq -r .text <<<"$answer" | grep -Eq "$1" || die "'$(jq -r .text <<<"$answer")' does not say $1"; }

client_of() { jq -r '.clients[0].client' <<<"$probe_ready"; }

# dropped REASON: the workers really drop for that reason now.
drops_of() { ctl --json drops | jq --arg r "$1" '.drops[] | select(.reason == $r) | .pkts'; }
grows() {
	local before
	before=$(drops_of "$1")
	sleep 0.5
	(($(drops_of "$1") > before)) || die "the workers do not drop for '$1'"
	passed "and the workers count it: $1"
}

peer=$PEER_HOST:5000
probe_start good --rate 20
good=$(client_of)
relayed=$(jq -r '.clients[0].relayed' <<<"$probe_ready")
answer=$(ctl --json explain --client "$good" --peer "$peer" --channel 0x4001)
expect "what works is said to work" '.verdict == "relayed" and .up.verdict == "relayed" and .down.verdict == "relayed"'
expect "and how large the peer's data may be" '[.steps[] | select(.step == "size" and .direction == "down") | .text | contains("1468 bytes")] == [true]'

explained no_allocation --client "${good%:*}:9" --peer "$peer"
explained not_ours --client "$good" --listener "$TURN_HOST:9999"
explained no_channel --client "$good" --peer "$peer" --channel 0x4005
explained wrong_channel --client "$good" --peer "$PEER_HOST:6000" --channel 0x4001
explained family_mismatch --client "$good" --peer "[$PEER_HOST6]:5000"
explained peer_denied --client "$good" --peer 127.0.0.1:80
said loopback
explained peer_denied --client "$good" --peer "$TURN_HOST:3478"
said 'own address'
explained no_relay --relayed "${relayed%:*}:$((${relayed##*:} == 50000 ? 50001 : 50000))" --peer "$peer"
explained no_permission --client "$good" --peer 198.18.0.77:5000

probe_start barred --indications --no-permission --rate 50
explained no_permission --client "$(client_of)" --peer "$peer"
grows no_permission
probe_quit barred

probe_start silent --peer 198.18.0.99:5000 --rate 50
explained no_next_hop --client "$(client_of)" --peer 198.18.0.99:5000 --channel 0x4001
said 'MAC'
grows no_next_hop
probe_quit silent
probe_start lost --peer 198.19.1.1:5000 --rate 50
explained no_next_hop --client "$(client_of)" --peer 198.19.1.1:5000 --channel 0x4001
said 'route'
probe_quit lost

probe_start killed --rate 50
killed=$(client_of)
id=$(ctl --json allocations --client "$killed" | jq -r '.allocations[0].id')
ctl allocation kill "$id" >/dev/null
explained allocation_killed --client "$killed" --peer "$peer"
grows no_allocation
probe_quit killed
probe_start gone
gone=$(client_of)
probe_quit gone
explained allocation_deleted --client "$gone" --peer "$peer"

# Expired: the time of these flows is over, by a tool that sets the clock of one flow.
age() { "$build/tests/e2e/age_flows" "$instance" "$@" >/dev/null || die "nothing to let expire: $*"; }
probe_start aged --indications --rate 50
age permission "$(jq -r '.clients[0].relayed' <<<"$probe_ready" | sed 's/.*://')"
explained permission_expired --client "$(client_of)" --peer "$peer"
grows permission_expired
probe_quit aged
probe_start stale --rate 50
stale=$(client_of)
age channel "${stale##*:}"
explained permission_expired --client "$stale" --peer "$peer" --channel 0x4001
grows channel_expired
probe_quit stale

# Changes of the configuration, taken over by a reload.
sed -i 's|^  allow:.*|&\n  deny: ["198.18.0.20/32"]|' "$run_dir/turnpike.yaml"
ctl reload >/dev/null
explained peer_denied --client "$good" --peer "$peer"
said 'rule.*198.18.0.20/32'
# The reload ended the channel to that peer, so that is what the workers count.
grows no_channel
sed -i '/^  deny:/d' "$run_dir/turnpike.yaml"
printf 'quota:\n  total: 1\n' >>"$run_dir/turnpike.yaml"
ctl reload >/dev/null
explained quota_total --client "${good%:*}:9" --peer "$peer"
sed -i '/^quota:/,$d' "$run_dir/turnpike.yaml"
ctl reload >/dev/null
probe_quit good
probe_start good --rate 20
good=$(client_of)
answer=$(ctl --json explain --client "$good" --peer "$peer" --channel 0x4001)
expect "all is well again" '.verdict == "relayed"'

lab exec relay -- ip link set dev eth0 xdpdrv off
explained filter_detached --client "$good" --peer "$peer"
lab hold dataplane
kill -KILL "$(pid_of dataplane)"
wait_until 10 bash -c "! $build/controlplane/ctl/turnpikectl --instance $instance --json status |
	jq -e '.dataplane.state == \"running\"'"
explained dataplane_down --client "$good" --peer "$peer"
lab release dataplane
wait_until 15 bash -c "$build/controlplane/ctl/turnpikectl --instance $instance --json explain \
	--client $good --peer $peer | jq -e '.verdict == \"relayed\"'" ||
	die "not well after the dataplane's return: $(ctl explain --client "$good" --peer "$peer")"
passed "and relayed again after the dataplane's return"
