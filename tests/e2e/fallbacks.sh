#!/bin/bash
# What a host may lack costs speed, is said in one sentence, and takes nothing else away: a driver without XDP of its own, and
# huge pages.
. "$(dirname "$0")/lab_session.bash"
lab_session_start --generic
peer_start

answer=$(ctl --json status)
expect "status says generic" '.ports[0].xdp_mode == "generic"'
grep -q generic "$run_dir/dataplane.log" || die "the log does not say it"
passed "and so does the log: $(grep generic "$run_dir/dataplane.log")"

probe_start calls --clients 10 --rate 500
sleep 2
probe_window calls
expect "ten clients relay without loss" "$no_loss"
probe_ask calls binding
expect "STUN Binding is answered" '.ok == 10'
lab exec client -- ping -c 2 -i 0.2 -W 2 "$TURN_HOST" >/dev/null
passed "the kernel beside it answers ping"
kill_running dataplane
sleep 2
probe_window calls
expect "killed: no client sees an error" '.socket_errors == 0'
sleep 1
probe_window calls
expect "and relaying is back" "$no_loss"

# The same lab without huge pages: the next dataplane sees a host that has none.
lab hold dataplane
kill -TERM "$(pid_of dataplane)"
wait_until 10 test ! -e "$run_dir/dataplane.pid" || die "the dataplane does not stop"
lab exec relay -- unshare -m --propagation slave bash -c \
	'mount -t tmpfs none /sys/kernel/mm/hugepages && exec "$@"' - \
	"$build/dataplane/turnpike-dataplane" --instance "$instance" >"$scratch/nohuge.log" 2>&1 &
nohuge=$!
is_up() { ctl --json status | jq -e '.dataplane.state == "running"'; }
wait_until 15 is_up || die "no dataplane without huge pages: $(cat "$scratch/nohuge.log")"
answer=$(ctl --json status)
expect "it runs without huge pages" '.dataplane.hugepages == false'
grep -qi 'huge *pages' "$scratch/nohuge.log" || die "the log does not say it: $(cat "$scratch/nohuge.log")"
passed "and says so: $(grep -i 'huge *pages' "$scratch/nohuge.log")"
sleep 0.5
probe_window calls
sleep 1
probe_window calls
expect "relaying goes on without loss" "$no_loss"
kill -TERM "$(ctl --json status | jq .dataplane.pid)"
wait "$nohuge" || die "status $? after SIGTERM"
passed "and a clean stop is status 0"
