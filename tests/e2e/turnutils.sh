#!/bin/bash
# coturn's own test client relays through Turnpike without losing a message. The client always exits 0, so
# its output is judged: nothing lost, and everything received that was to be sent.
. "$(dirname "$0")/lab_session.bash"
lab_session_start

lab exec peer -- turnutils_peer -L "$PEER_HOST" -L "$PEER_HOST6" >/dev/null 2>&1 &
sleep 0.3

# uclient NAME N_CLIENTS MESSAGES_EACH ARGUMENTS…: in the background; `uclients_wait` judges those that were started.
uclient_pids=()
uclient_names=()
uclient() {
	local name=$1 clients=$2 messages=$3
	shift 3
	uclient_run "$name" "$clients" "$messages" "$scratch/uclient-${#uclient_pids[@]}" "$@" &
	uclient_pids+=($!)
	uclient_names+=("$name")
}

uclient_run() {
	local name=$1 clients=$2 messages=$3 out=$4 sent received
	shift 4
	trap - EXIT ERR
	lab exec client -- timeout 60 turnutils_uclient -n "$messages" -m "$clients" "$@" >"$out" 2>&1 || true
	sent=$(sed -n 's/.*start_mclient: tot_send_msgs=\([0-9]*\),.*/\1/p' "$out" | tail -n 1)
	received=$(sed -n 's/.*start_mclient: tot_send_msgs=.*tot_recv_msgs=\([0-9]*\).*/\1/p' "$out" | tail -n 1)
	echo "$clients clients: ${received:-0} of $((clients * messages)) messages came back" >"$out.said"
	if ! grep -q 'Total lost packets 0 (0.000000%)' "$out" ||
		[[ ${sent:-0} -ne $((clients * messages)) || ${received:-0} -ne $sent ]]; then
		tail -n 25 "$out" >>"$out.said"
		return 1
	fi
}

uclients_wait() {
	local i
	for i in "${!uclient_pids[@]}"; do
		wait "${uclient_pids[$i]}" || die "${uclient_names[$i]}: $(cat "$scratch/uclient-$i.said")"
		passed "${uclient_names[$i]}: $(cat "$scratch/uclient-$i.said")"
	done
	uclient_pids=()
	uclient_names=()
}

password=(-c -u "$TURN_USER" -w "$TURN_PASS")
uclient "channels" 2 100 "${password[@]}" -e "$PEER_HOST" "$TURN_HOST"
uclient "send indications" 2 100 "${password[@]}" -s -e "$PEER_HOST" "$TURN_HOST"
uclient "IPv6 channels" 2 100 "${password[@]}" -x -e "$PEER_HOST6" "$TURN_HOST6"
uclient "IPv6 send indications" 2 100 "${password[@]}" -s -x -e "$PEER_HOST6" "$TURN_HOST6"
uclient "time-limited REST credentials" 2 50 -u lab -W "$TURN_SECRET" -c -e "$PEER_HOST" "$TURN_HOST"
uclients_wait
uclient "IPv4 client, IPv6 peer" 2 100 "${password[@]}" -x -e "$PEER_HOST6" "$TURN_HOST"
uclient "IPv6 client, IPv4 peer" 2 100 "${password[@]}" -e "$PEER_HOST" "$TURN_HOST6"
uclient "client to client" 4 100 "${password[@]}" -y "$TURN_HOST"
uclient "client to client, send indications" 4 100 "${password[@]}" -y -s "$TURN_HOST"
uclient "pairs of ports (EVEN-PORT, RESERVATION-TOKEN)" 4 50 -u "$TURN_USER" -w "$TURN_PASS" -e "$PEER_HOST" "$TURN_HOST"
uclient "1200-byte messages" 2 100 "${password[@]}" -l 1200 -e "$PEER_HOST" "$TURN_HOST"
uclients_wait
uclient "both families (the draft of ADDITIONAL-ADDRESS-FAMILY)" 2 50 "${password[@]}" -Z -e "$PEER_HOST" "$TURN_HOST"
uclient "both families, IPv6 peer" 2 50 "${password[@]}" -Z -e "$PEER_HOST6" "$TURN_HOST"
uclient "both families, client to client, send indications" 4 50 "${password[@]}" -Z -s -y "$TURN_HOST"
uclient "mobility" 2 50 "${password[@]}" -M -e "$PEER_HOST" "$TURN_HOST"
uclient "mobility, send indications" 2 50 "${password[@]}" -M -s -e "$PEER_HOST" "$TURN_HOST"
uclients_wait
uclient "at once" 50 40 "${password[@]}" -e "$PEER_HOST" "$TURN_HOST"
uclients_wait
