#!/bin/bash
# Clients over UDP, TCP and TLS under load, while either process is killed, the configuration is reloaded, and a new
# certificate comes. UDP loses nothing but to the dataplane's death; streams survive all but the death of the control plane, whose
# sockets they are.
. "$(dirname "$0")/lab_session.bash"
lab_session_start
peer_start

# stream_start TRANSPORT PORT
stream_start() {
	probe_start "$1" --server "$TURN_HOST:$2" --transport "$1" --clients 5 --rate 500
}
probe_start udp --clients 10 --rate 1000
stream_start tcp "$TURN_PORT"
stream_start tls "$TURN_TLS_PORT"

# windows WHAT TRANSPORT…: nothing was lost there since the last look.
windows() {
	local what=$1 name
	shift
	for name in "$@"; do
		probe_window "$name"
		expect "$what: $name loses nothing" "$no_loss"
	done
}
# refreshes WHAT TRANSPORT CLIENTS
refreshes() {
	probe_ask "$2" refresh
	expect "$1: every Refresh over $2 succeeds" ".ok == $3 and .failed == 0"
}
sleep 1
windows 'before' udp tcp tls

ctl reload
sleep 1
windows 'the configuration is reloaded' udp tcp tls

subject() {
	timeout 5 nsenter --net="/run/netns/tp-client-$instance" openssl s_client -connect "$TURN_HOST:$TURN_TLS_PORT" </dev/null 2>/dev/null |
		openssl x509 -noout -fingerprint -sha256
}
was=$(subject)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=lab.turnpike \
	-keyout "$scratch/key.pem" -out "$scratch/certificate.pem" 2>/dev/null
new=$(openssl x509 -noout -fingerprint -sha256 -in "$scratch/certificate.pem")
printf 'tls:\n  certificate: %s/certificate.pem\n  key: %s/key.pem\n' "$scratch" "$scratch" >>"$run_dir/turnpike.yaml"
ctl reload
wait_until 5 bash -c "[[ \$(timeout 5 nsenter --net=/run/netns/tp-client-$instance openssl s_client -connect $TURN_HOST:$TURN_TLS_PORT </dev/null 2>/dev/null |
	openssl x509 -noout -fingerprint -sha256) == '$new' ]]" || die "the new certificate is not served: was $was, is $(subject)"
windows 'a new certificate is served' udp tcp tls
for name in tcp tls; do refreshes 'after both reloads' $name 5; done

kill_running dataplane
wait_until 10 is_running dataplane || die "the dataplane does not come back"
sleep 2
for name in udp tcp tls; do probe_window $name; done
windows 'the dataplane was killed and is back' udp tcp tls
refreshes 'and then' udp 10
for name in tcp tls; do refreshes 'and then' $name 5; done

for name in tcp tls; do
	probe_quit $name
	expect "$name: not one packet was corrupt or came twice" '.bad == 0'
done
old=$(pid_of controlplane)
stream_start tcp "$TURN_PORT"
probe_window udp
kill -KILL "$old"
wait_until 10 bash -c "[[ -e $run_dir/controlplane.pid && \$(cut -d' ' -f1 $run_dir/controlplane.pid) != $old ]]" ||
	die "the control plane does not come back"
wait_until 10 ctl --json status || die "no control plane after its death"
windows 'the control plane was killed and is back' udp
refreshes 'and then' udp 10
answer=$(ctl --json status)
expect "the allocations of streams ended with their sockets" '.allocations.live == 10'
probe_quit tcp
stream_start tls "$TURN_TLS_PORT"
sleep 1
windows 'new clients get in over TLS' tls
probe_quit tls
probe_quit udp
expect "over all, no packet over UDP came twice or corrupt" '.bad == 0'
