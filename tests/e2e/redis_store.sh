#!/bin/bash
# Users, secrets and rules about peers in a Redis by coturn's schema, judged by coturn's own client: keys are found,
# secrets are rotated, a Redis that dies takes nobody along, and what it is told of allocations adds up.
. "$(dirname "$0")/lab_session.bash"

command -v redis-server >/dev/null || { echo "redis-server is not installed; skipped"; exit 77; }
realm=lab.turnpike
redis_dir=$scratch/redis
mkdir "$redis_dir"
chmod 0755 "$scratch"
echo redis-lab-password >"$scratch/password"
redis_pid=

redis_start() {
	redis-server --port 0 --unixsocket "$redis_dir/sock" --save '' --appendonly no --daemonize no \
		--dir "$redis_dir" --user default on '>redis-lab-password' '~*' '&*' '+@all' >"$redis_dir/log" 2>&1 &
	redis_pid=$!
	wait_until 10 redis PING || die "Redis does not start: $(tail -n 3 "$redis_dir/log")"
}
redis() { REDISCLI_AUTH=redis-lab-password redis-cli -s "$redis_dir/sock" -n 2 "$@"; }
key_of() { printf '%s' "$1:$realm:$2" | md5sum | cut -d' ' -f1; }

redis_start
redis SET "turn/realm/$realm/user/ninefingers/key" "$(key_of ninefingers realistic)" >/dev/null
redis SADD "turn/realm/$realm/secret" first-shared-secret >/dev/null
redis SADD "turn/realm/$realm/allowed-peer-ip" 198.18.0.20-198.18.0.21 fd00:18::/32 >/dev/null

# The lab's own configuration, but nobody and no rule about peers stands in the file.
cat >"$scratch/lab.yaml" <<YAML
realm: $realm
rfc5766_channels: true
listeners:
  - {address: 198.18.0.2, port: 3478}
  - {address: 198.18.0.2, port: 3479, realm: other.turnpike}
  - {address: "fd00:18::2", port: 3478}
relay: {addresses: [198.18.0.3, "fd00:18::2"]}
realms:
  - name: other.turnpike
    users: [{name: stranger, password: civilization}]
    peers: {allow: [198.18.0.0/15]}
ports: [{device: af_xdp, interface: eth0}]
redis:
  url: unix:$redis_dir/sock
  password_file: $scratch/password
  database: 2
  cache_seconds: 2
  statistics: true
  statistics_seconds: 1
YAML
lab_session_start --config "$scratch/lab.yaml"

lab exec peer -- turnutils_peer -L "$PEER_HOST" >/dev/null 2>&1 &
sleep 0.3
redis --csv PSUBSCRIBE 'turn/realm/*/user/*/allocation/*' >"$scratch/told" 2>&1 &

# relays SECONDS ARGUMENTS…: two clients relay 40 messages without a loss.
relays() {
	local out=$scratch/uclient limit=$1
	shift
	lab exec client -- timeout "$limit" turnutils_uclient -c -n 20 -m 2 -e "$PEER_HOST" "$@" "$TURN_HOST" >"$out" 2>&1
	grep -q 'Total lost packets 0 (0.000000%)' "$out" &&
		[[ $(sed -n 's/.*start_mclient: tot_send_msgs=.*tot_recv_msgs=\([0-9]*\).*/\1/p' "$out" | tail -n 1) == 40 ]]
}
relays_not() { ! relays 6 "$@"; }

relays 30 -u ninefingers -w realistic || die "a user of Redis: $(tail -n 5 "$scratch/uclient")"
passed "a user whose key stands in Redis relays to a peer that Redis allows"
relays_not -u ninefingers -w wrong || die "a wrong password passed"
relays_not -u nobody -w realistic || die "a user who is nowhere passed"
passed "wrong passwords and unknown users are refused"

# ---- realms
relays 30 -p 3479 -u stranger -w civilization || die "a user of the other realm: $(tail -n 5 "$scratch/uclient")"
relays_not -p 3479 -u ninefingers -w realistic || die "a user of one realm passed in another"
relays_not -u stranger -w civilization || die "a user of the other realm passed in the first"
passed "each listener takes the users of its realm alone"

# ---- secrets
relays 30 -u call -W first-shared-secret || die "a time-limited credential: $(tail -n 5 "$scratch/uclient")"
redis SADD "turn/realm/$realm/secret" second-shared-secret >/dev/null
sleep 3
relays 30 -u call -W second-shared-secret || die "the second secret: $(tail -n 5 "$scratch/uclient")"
relays 30 -u call -W first-shared-secret || die "the first secret beside the second: $(tail -n 5 "$scratch/uclient")"
redis SREM "turn/realm/$realm/secret" first-shared-secret >/dev/null
sleep 3
relays_not -u call -W first-shared-secret || die "a secret that was taken away still works"
relays 30 -u call -W second-shared-secret || die "the second secret alone: $(tail -n 5 "$scratch/uclient")"
passed "secrets are rotated without a restart or a reload"

# ---- rules about peers
redis SADD "turn/realm/$realm/denied-peer-ip" "$PEER_HOST" >/dev/null
sleep 3
relays_not -u ninefingers -w realistic || die "a peer that Redis denies was reached"
relays 30 -p 3479 -u stranger -w civilization || die "a rule of one realm holds in another: $(tail -n 5 "$scratch/uclient")"
redis DEL "turn/realm/$realm/denied-peer-ip" >/dev/null
sleep 3
relays 30 -u ninefingers -w realistic || die "the peer is allowed again: $(tail -n 5 "$scratch/uclient")"
passed "rules about peers take effect within seconds, in their realm alone"

# ---- the operators' verbs
echo comedian | ctl user add edward --config "$run_dir/turnpike.yaml" >"$scratch/said" || die "user add failed"
[[ $(redis GET "turn/realm/$realm/user/edward/key") == "$(key_of edward comedian)" ]] || die "user add: $(cat "$scratch/said")"
relays 30 -u edward -w comedian || die "a user that was added: $(tail -n 5 "$scratch/uclient")"
ctl user remove edward --config "$run_dir/turnpike.yaml" >/dev/null || die "user remove failed"
relays_not -u edward -w comedian || die "a user that was removed still relays"
ctl --json credential new --config "$run_dir/turnpike.yaml" --user caller >"$scratch/credential"
relays 30 -u "$(jq -r .username "$scratch/credential")" -w "$(jq -r .password "$scratch/credential")" ||
	die "a credential by a secret of Redis: $(tail -n 5 "$scratch/uclient")"
passed "users are added and removed at once, and credentials are made with a secret of Redis"

# ---- what subscribers are told
peer_start
probe_start told --user ninefingers --password realistic --clients 3 --rate 100
sleep 3
ctl --json allocations >"$scratch/allocations"
id=$(jq -r '.allocations | min_by(.age_s).id' "$scratch/allocations")
[[ -n $id && $id != null ]] || die "no allocation: $(cat "$scratch/allocations")"
redis GET "turn/realm/$realm/user/ninefingers/allocation/$id/status" | grep -q '^new lifetime=' ||
	die "the status of $id is $(redis GET "turn/realm/$realm/user/ninefingers/allocation/$id/status")"
up=$(ctl --json allocation show "$id" | jq .up.pkts)
((up > 0)) || die "nothing went through $id"
ctl allocation kill "$id" >/dev/null
total_of() { grep -a "allocation/$id/total_traffic\"," "$scratch/told" | sed -n 's/.*rcvp=\([0-9]*\), rcvb=\([0-9]*\), sentp=\([0-9]*\), sentb=\([0-9]*\).*/\1/p'; }
wait_until 5 grep -aq "allocation/$id/status\",\"deleted" "$scratch/told" || die "nothing said that $id was deleted"
total=$(total_of)
((total >= up)) || die "total_traffic says $total packets from the client, turnpikectl said $up before"
[[ -z $(redis GET "turn/realm/$realm/user/ninefingers/allocation/$id/status") ]] || die "the key of $id is still there"
parts=$(grep -a "allocation/$id/traffic\"," "$scratch/told" | sed -n 's/.*rcvp=\([0-9]*\).*/\1/p' | awk '{ n += $1 } END { print n + 0 }')
[[ $parts == "$total" ]] || die "the parts of the traffic are $parts packets, the whole is $total"
passed "subscribers are told of begin, traffic ($parts packets in parts, $total in all, $up seen before the end) and end"

probe_quit told

# ---- Redis dies
probe_start steady --user ninefingers --password realistic --clients 3 --rate 100
kill -KILL "$redis_pid"
wait "$redis_pid" 2>/dev/null || true
sleep 4
relays 30 -u ninefingers -w realistic || die "a known user without Redis: $(tail -n 5 "$scratch/uclient")"
relays 30 -u call -W second-shared-secret || die "a known secret without Redis: $(tail -n 5 "$scratch/uclient")"
relays_not -u nobody2 -w realistic || die "an unknown user passed without Redis"
probe_window steady
expect "sessions lose nothing while Redis dies and is dead" "$no_loss"
probe_ask steady refresh
expect "and are refreshed meanwhile" '.ok == 3 and .failed == 0'
(($(ctl --json stats | jq '.store.kept_while_down') > 0)) || die "nothing was counted: $(ctl --json stats | jq .store)"
ctl stats | grep -q '^store  *kept_while_down' || die "stats tells people nothing of the store: $(ctl stats)"
[[ $(grep -c 'known users keep working' "$run_dir/controlplane.log") == 1 ]] || die "$(grep -i redis "$run_dir/controlplane.log")"
passed "with Redis dead known users and secrets keep working; it is counted, and said once"
redis_start
redis SET "turn/realm/$realm/user/late/key" "$(key_of late comer)" >/dev/null
redis SADD "turn/realm/$realm/allowed-peer-ip" "$PEER_HOST" >/dev/null
wait_until 10 grep -q 'answers again' "$run_dir/controlplane.log" || die "nothing said that Redis is back"
sleep 3
relays 30 -u late -w comer || die "a user of the new Redis: $(tail -n 5 "$scratch/uclient")"
passed "a Redis that comes back is found"
! grep -rqE 'redis-lab-password|shared-secret' "$run_dir"/*.log || die "a secret stands in a log"
passed "no secret stands in the logs"
probe_quit steady
kill "$redis_pid"
