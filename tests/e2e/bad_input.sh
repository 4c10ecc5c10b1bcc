#!/bin/bash
# What must be refused is refused with one line and status 2, leaving nothing behind; and a million broken packets
# neither end a process nor cost an established flow a packet.
. "$(dirname "$0")/lab_session.bash"
lab_session_start
peer_start

controlplane=$build/controlplane/turnpike-controlplane
dataplane=$build/dataplane/turnpike-dataplane

# refused WHAT PATTERN COMMAND…: in the relay's namespace; ends with status 2 and one line on stderr that matches PATTERN.
refused() {
	local what=$1 pattern=$2 status=0
	shift 2
	lab exec relay -- timeout 20 "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
	[[ $status -eq 2 ]] || die "$what: status $status, not 2: $(cat "$scratch/err")"
	[[ $(wc -l <"$scratch/err") -eq 1 ]] || die "$what: not one line: $(cat "$scratch/err")"
	grep -Eq "$pattern" "$scratch/err" || die "$what: '$(cat "$scratch/err")' does not match $pattern"
	passed "$what: $(cat "$scratch/err")"
}

# config NAME SED-EXPRESSION: the lab's configuration, changed, for another instance.
config() {
	sed -e 's/^instance:.*/instance: other/' -e "$2" "$run_dir/turnpike.yaml" >"$scratch/$1.yaml"
}

config same ''
config typo 's/^realm:/realmm:/'
refused "unknown key" 'typo.yaml:[0-9]+: .*realmm' "$controlplane" --config "$scratch/typo.yaml"
config range 's/min_port:.*/min_port: 65535/; s/max_port:.*/max_port: 50000/'
refused "empty port range" 'range.yaml:[0-9]+: .*port' "$controlplane" --config "$scratch/range.yaml"
config word 's/port: 3478/port: many/'
refused "a word for a number" 'word.yaml:[0-9]+: .*port' "$controlplane" --config "$scratch/word.yaml"
config interface 's/interface:.*/interface: nosuch0/'
refused "no such interface" 'nosuch0' "$controlplane" --config "$scratch/interface.yaml"
config address 's/198.18.0.2/198.18.0.300/'
refused "no address" 'address.yaml:[0-9]+: .*198.18.0.300' "$controlplane" --config "$scratch/address.yaml"
config elsewhere 's/port: 3478/port: 3481/; s/"198.18.0.3"/"198.18.0.77"/'
refused "an address that is not here" '198.18.0.77' "$controlplane" --config "$scratch/elsewhere.yaml"
config port 's/port: 3478/port: 3479/'
lab exec relay -- timeout 10 nc -u -l "$TURN_HOST" 3479 >/dev/null &
sleep 0.3
refused "a port that somebody else holds" '198.18.0.2:3479' "$controlplane" --config "$scratch/port.yaml"
refused "addresses that another instance holds" '198.18.0.' "$controlplane" --config "$scratch/same.yaml"
refused "no configuration file" 'nothing.yaml' "$controlplane" --config "$scratch/nothing.yaml"
status=0
"$controlplane" >/dev/null 2>"$scratch/err" </dev/null || status=$?
[[ $status -eq 2 ]] && grep -q -- --config "$scratch/err" || die "without arguments: status $status"
passed "without arguments the control plane says how to use it"
refused "control plane runs already" 'already' \
	"$controlplane" --config "$run_dir/turnpike.yaml" --instance "$instance"
refused "dataplane runs already" 'already' "$dataplane" --instance "$instance"
chmod 755 "$scratch"
cp "$controlplane" "$dataplane" "$build"/bpf/*.bpf.o "$scratch"
nobody=(env "TURNPIKE_BPF_DIR=$scratch" setpriv --reuid 65534 --regid 65534 --clear-groups)
refused "control plane without root" 'root' "${nobody[@]}" "$scratch/turnpike-controlplane" --config "$scratch/same.yaml"
refused "dataplane without root" 'root' "${nobody[@]}" "$scratch/turnpike-dataplane" --instance other
[[ ! -e /dev/shm/turnpike/other && ! -e /run/turnpike/other/ctl.sock ]] || die "a refused start left something"
passed "nothing is left of the refused starts"
rm -rf /run/turnpike/other

probe_start calls --clients 10 --rate 500
sleep 0.5
relay_mac=$(lab exec relay -- cat /sys/class/net/eth0/address)
controlplane_pid=$(pid_of controlplane)
dataplane_pid=$(pid_of dataplane)
shot=0
for target in "$TURN_HOST:$TURN_PORT" "[$TURN_HOST6]:$TURN_PORT"; do
	shot=$((shot + 1))
	lab exec client -- timeout 120 "$packet_gun" --interface eth0 --target-mac "$relay_mac" \
		--target "$target" --kind mutated --count 500000 --rate 40000 --seed $shot >"$scratch/gun"
	passed "mutated packets to $target: $(cat "$scratch/gun")"
done
probe_window calls
expect "established flows lost nothing meanwhile" "$no_loss"
sleep 1
probe_window calls
expect "nor after" "$no_loss"
[[ $(pid_of controlplane) == "$controlplane_pid" && $(pid_of dataplane) == "$dataplane_pid" ]] ||
	die "a process was restarted"
passed "both processes are the ones they were"
answer=$(ctl --json drops)
expect "the drops are counted by reason" '[.drops[] | select(.pkts > 0)] | length >= 5'
probe_ask calls refresh
expect "every Refresh succeeds" '.ok == 10'

# A segment of another layout: refused in words, by both.
probe_quit calls
lab hold controlplane
lab hold dataplane
kill -TERM "$(pid_of controlplane)" "$(pid_of dataplane)"
wait_until 10 test ! -e "$run_dir/controlplane.pid"
wait_until 10 test ! -e "$run_dir/dataplane.pid"
printf '\xff\xff' | dd of="/dev/shm/turnpike/$instance/tables" bs=1 seek=8 conv=notrunc status=none
refused "control plane and a segment of another layout" 'layout|segment' \
	"$controlplane" --config "$run_dir/turnpike.yaml" --instance "$instance"
refused "dataplane and a segment of another layout" 'layout|segment' "$dataplane" --instance "$instance"
