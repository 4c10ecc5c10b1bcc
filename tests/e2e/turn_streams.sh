#!/bin/bash
# TURN over TCP and TLS: coturn's client without loss, key frames over a long way, slow readers, proxies, certificates.
. "$(dirname "$0")/lab_session.bash"
lab_session_start

client=$root/tests/e2e/stream_client.py
far_address=198.18.7.2
lab exec relay -- ip route add 198.18.7.0/30 via 198.18.0.10

count() { ctl --json stats | jq ".streams.$1"; }

# stream COMMAND ARGUMENTS…: in the client's namespace; sets `answer`.
stream() {
	local command=$1
	shift
	answer=$(lab exec client -- timeout 60 "$client" "$command" --server "$TURN_HOST" \
		--user "$TURN_USER" --password "$TURN_PASS" "$@") || die "$command $*: $answer"
}

# far COMMAND ARGUMENTS…: the same, 40 ms away.
far() {
	local command=$1
	shift
	answer=$(lab exec client -- timeout 60 "$root/tests/e2e/far_away.py" --ms 20 --address $far_address/30 --gateway 198.18.7.1 -- \
		"$client" "$command" --server "$TURN_HOST" --user "$TURN_USER" --password "$TURN_PASS" "$@") ||
		die "$command $*: $answer"
}

# ---- coturn's client: it always exits 0, so its output is judged
uclient() {
	local name=$1 messages=$2 out=$scratch/uclient.$BASHPID
	shift 2
	lab exec client -- timeout 60 turnutils_uclient -c -u "$TURN_USER" -w "$TURN_PASS" -n "$messages" -m 4 "$@" >"$out" 2>&1 || true
	grep -q 'Total lost packets 0 (0.000000%)' "$out" &&
		grep -q "tot_send_msgs=$((4 * messages)), tot_recv_msgs=$((4 * messages))\$" "$out" ||
		{ tail -n 12 "$out"; die "$name"; }
}
lab exec peer -- turnutils_peer -L "$PEER_HOST" -L "$PEER_HOST6" >/dev/null 2>&1 &
sleep 0.3
uclient_all() {
	local pids=() names=() i
	while [[ $# -gt 0 ]]; do
		# shellcheck disable=SC2086
		uclient "$1" 80 $2 &
		pids+=($!) names+=("$1")
		shift 2
	done
	for i in "${!pids[@]}"; do
		wait "${pids[$i]}" || die "${names[$i]}"
		passed "turnutils_uclient, ${names[$i]}: no loss"
	done
}
uclient_all "TCP (-t)" "-t -e $PEER_HOST $TURN_HOST" \
	"TLS (-t -S)" "-t -S -p $TURN_TLS_PORT -e $PEER_HOST $TURN_HOST" \
	"TCP, client to client (-t -y)" "-t -y $TURN_HOST"
uclient_all "TLS on 443, client to client (-t -S -y)" "-t -S -y -p 443 $TURN_HOST" \
	"TCP, send indications (-t -s)" "-t -s -e $PEER_HOST $TURN_HOST" \
	"TLS over IPv6 to an IPv6 peer (-t -S -x)" "-t -S -x -p $TURN_TLS_PORT -e $PEER_HOST6 $TURN_HOST6"
[[ $(count accepted_tcp) -gt 0 && $(count accepted_tls) -gt 0 ]] || die "streams were not counted"

# ---- TLS itself
tls() { lab exec client -- timeout 10 openssl s_client -connect "$TURN_HOST:$TURN_TLS_PORT" -CAfile "$TURN_CA" "$@" </dev/null 2>&1 || true; }
tls -alpn stun.turn >"$scratch/tls"
grep -q 'ALPN protocol: stun.turn' "$scratch/tls" && grep -q 'Verify return code: 0 (ok)' "$scratch/tls" && grep -q TLSv1.3 "$scratch/tls" ||
	die "openssl s_client: $(cat "$scratch/tls")"
passed "rfc7443 ALPN stun.turn, TLS 1.3, a certificate for the address"
tls -alpn stun.nat-discovery -tls1_2 >"$scratch/tls"
grep -q 'ALPN protocol: stun.nat-discovery' "$scratch/tls" && grep -q 'Protocol  : TLSv1.2' "$scratch/tls" || die "TLS 1.2: $(cat "$scratch/tls")"
passed "rfc7443 ALPN stun.nat-discovery over TLS 1.2"
before=$(count tls_failed_no_common_version)
tls -tls1_1 -cipher 'ALL:@SECLEVEL=0' >"$scratch/tls"
grep -q 'Cipher is (NONE)' "$scratch/tls" || die "TLS 1.1 was spoken"
wait_until 5 test "$(count tls_failed_no_common_version)" -gt "$before" || die "the refused version was not counted"
passed "TLS 1.1 is refused and counted"
stream raw --port "$TURN_TLS_PORT" --seconds 5 --data "$(printf 'GET / HTTP/1.1\r\n\r\n' | base64 -w0)"
expect "plain HTTP on the TLS port ends" .closed
[[ $(count tls_failed_not_tls) -ge 1 ]] || die "it was not counted"

# ---- framing
stream raw --port "$TURN_PORT" --seconds 5 --data "$(printf 'GET / HTTP/1.1\r\n\r\n' | base64 -w0)"
expect "what is no TURN message ends the connection" .closed
stream raw --port "$TURN_PORT" --seconds 5 --data "$(printf '\x00\x01\x00\x02\x21\x12\xa4\x42' | base64 -w0)"
expect "a STUN length that is no multiple of 4 ends it" .closed
stream raw --port "$TURN_PORT" --seconds 1 --step 1 \
	--data "$(printf '\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkm' | base64 -w0)"
expect "rfc8489_6_2_2 two requests, byte for byte, get two answers" '.received == 64'
[[ $(count closed_framing_first_byte) -eq 1 && $(count closed_framing_stun_length) -eq 1 ]] || die "the causes were not counted"

# ---- a key frame of 300 KB, 40 ms away
lab exec peer -- "$relay_probe" peer --listen "$PEER_HOST:5000" >/dev/null 2>&1 &
for carrier in "--port $TURN_PORT" "--port $TURN_TLS_PORT --tls"; do
	lab exec peer -- timeout 60 "$client" sender --server "$PEER_HOST" --port 5001 --bursts 4 --pause 0.7 >/dev/null &
	sender=$!
	sleep 0.5
	# shellcheck disable=SC2086
	far burst $carrier --peer "$PEER_HOST:5001" --expect 1088 --seconds 15
	expect "rfc8656_12_5 four key frames of 300 KB at 40 ms of round trip ($carrier)" '.received == 1088 and .lost == 0'
	wait "$sender"
done

# ---- other limits, a proxy in front, certificates of the operator's
# make_certificate NAME
make_certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$1" \
		-addext "subjectAltName=IP:$TURN_HOST" -keyout "$scratch/new.key" -out "$scratch/new.pem" 2>/dev/null
	mv "$scratch/new.key" "$scratch/tls.key"
	mv "$scratch/new.pem" "$scratch/tls.pem"
}
make_certificate first
sed -i "s/^relay:/  - {address: $TURN_HOST, port: 8444, transport: auto, proxy_protocol: true}\nrelay:/" "$run_dir/turnpike.yaml"
cat >>"$run_dir/turnpike.yaml" <<-YAML
tls: {certificate: $scratch/tls.pem, key: $scratch/tls.key}
streams: {stalled_seconds: 3, allocation_timeout_seconds: 3, handshake_timeout_seconds: 2, buffer_kb: 512}
YAML
ctl config check "$run_dir/turnpike.yaml" >/dev/null
if answer=$(ctl reload 2>&1); then die "a reload took a new listener: $answer"; fi
passed "a new listener needs a restart, and reload says so"
pid=$(pid_of controlplane)
kill -TERM "$pid"
restarted() { [[ $(pid_of controlplane) -ne $pid ]] && ctl --json status | jq -e '.streams.listeners | length == 7'; }
wait_until 20 restarted || die "the control plane did not come back"

stream allocate --port 8444 --tls --ca "$scratch/tls.pem" --proxy-client 203.0.113.77
expect "PROXY v2, then TLS: the client is whom the proxy names" '.mapped == "203.0.113.77:40000" and .alpn == "stun.turn"'
stream allocate --port 8444 --proxy-client 203.0.113.78
expect "PROXY v2 in the clear on the same port" '.mapped == "203.0.113.78:40000"'
stream raw --port 8444 --seconds 5 --data "$(printf 'PROXY TCP4 203.0.113.7 198.18.0.2 1 443\r\n' | base64 -w0)"
expect "PROXY version 1 is refused" .closed
grep -q 'sends version 1 of the PROXY protocol' "$run_dir/controlplane.log" || die "the log does not say why"
stream raw --port 8444 --seconds 5 --data "$(printf '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaaaaa' | base64 -w0)"
expect "no PROXY header, no service" .closed
[[ $(count closed_proxy_header) -eq 2 ]] || die "refused proxies were not counted"

stream raw --port "$TURN_PORT" --seconds 8
expect "who says nothing is sent away" '.closed and .after_s < 6'
stream raw --port "$TURN_PORT" --seconds 8 --data "$(printf '\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl' | base64 -w0)"
expect "who does not allocate is sent away" '.closed and .after_s >= 2 and .after_s < 7'
[[ $(count closed_no_handshake) -ge 1 && $(count closed_no_allocation) -ge 1 ]] || die "the causes were not counted"

# ---- a client that reads nothing is cut off; one beside it loses nothing
lab exec peer -- timeout 60 "$client" sender --server "$PEER_HOST" --port 5002 --bursts 80 --pause 0.1 --burst-bytes 300000 >/dev/null &
sleep 0.5
lab exec client -- timeout 60 "$client" echo --server "$TURN_HOST" --user "$TURN_USER" --password "$TURN_PASS" \
	--port "$TURN_TLS_PORT" --tls --peer "$PEER_HOST:5000" --seconds 10 --rate 100 >"$scratch/echo" &
echo_pid=$!
stream deaf --port "$TURN_PORT" --peer "$PEER_HOST:5002" --seconds 15 --receive-buffer 4096
expect "a client that reads nothing is cut off" '.cut_off and .after_s < 12'
[[ $(count closed_slow_reader) -eq 1 ]] || die "the slow reader was not counted"
[[ $(count dropped_age) -gt 0 || $(count dropped_bytes) -gt 0 ]] || die "nothing was dropped for it"
grep -q 'did not read what was sent to it' "$run_dir/controlplane.log" || die "the log does not say why"
wait "$echo_pid" || die "$(cat "$scratch/echo")"
answer=$(<"$scratch/echo")
expect "a client beside it loses nothing" '.sent > 500 and .lost == 0'

# ---- a new certificate under load
lab exec client -- timeout 60 "$client" echo --server "$TURN_HOST" --user "$TURN_USER" --password "$TURN_PASS" \
	--port "$TURN_TLS_PORT" --tls --ca "$scratch/tls.pem" --peer "$PEER_HOST:5000" --seconds 5 --rate 500 >"$scratch/echo" &
echo_pid=$!
sleep 1.5
subject() { lab exec client -- timeout 10 openssl s_client -connect "$TURN_HOST:$TURN_TLS_PORT" </dev/null 2>/dev/null | openssl x509 -noout -subject; }
[[ $(subject) == *first ]] || die "$(subject)"
make_certificate second
ctl reload >/dev/null
[[ $(subject) == *second ]] || die "a reload does not bring the new certificate: $(subject)"
printf 'nonsense' >"$scratch/tls.pem"
if answer=$(ctl reload 2>&1); then die "a reload took nonsense for a certificate"; fi
[[ $answer == *"cannot use the certificate"* && $(subject) == *second ]] || die "$answer"
wait "$echo_pid" || die "$(cat "$scratch/echo")"
answer=$(<"$scratch/echo")
expect "a reload brings the new certificate, refuses a bad one, and disturbs nobody" '.sent > 1500 and .lost == 0'

answer=$(ctl --json drops)
expect "no packet was dropped on the way, but those to allocations that had ended" '[.drops[] | select(.pkts > 0).reason] - ["no_permission"] == []'
