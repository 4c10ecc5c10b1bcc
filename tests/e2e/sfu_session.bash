# Browsers in a room of a lab; sourced behind lab_session.bash by the SFU's end-to-end tests.
# After `drive_start`: `ask PAGE FUNCTION [JSON]` does something in a page and sets `answer`; see browser/sfu_drive.mjs.

[[ -d $root/tests/e2e/browser/node_modules ]] || (cd "$root/tests/e2e/browser" && npm ci >/dev/null)

# drive_start [ARGUMENT-FOR-CHROMIUM]…
drive_start() {
	mkfifo "$scratch/drive.in" "$scratch/drive.out"
	node "$root/tests/e2e/browser/sfu_drive.mjs" "$@" <"$scratch/drive.in" >"$scratch/drive.out" 2>"$scratch/drive.err" &
	exec {drive_in}>"$scratch/drive.in"
	exec {drive_out}<"$scratch/drive.out"
}

drive_end() {
	exec {drive_in}>&-
	timeout 20 cat <&"$drive_out" >/dev/null || true
	exec {drive_out}<&-
}

# send_ask PAGE FUNCTION [JSON]: without waiting.
send_ask() { echo "[\"$1\", \"$2\", ${3-null}]" >&"$drive_in"; }

# Any answer that comes next; dies when it is an error.
next_answer() {
	local line
	read -r -t "${1:-60}" line <&"$drive_out" || die "the browsers say nothing: $(tail -3 "$scratch/drive.err")"
	jq -e 'has("ok")' >/dev/null <<<"$line" || die "$line"
	answer=$(jq .ok <<<"$line")
}

ask() {
	send_ask "$@"
	next_answer
}

# open PAGE HOST: a browser in the namespace of HOST (client, peer).
open_page() { ask "$1" open "{\"netns\": \"tp-$2-$instance\", \"origin\": \"${DEMO_URL%/demo/}/healthz\"}"; }

# A Firefox that watches; its WHEP goes by plain HTTP, because it knows no certificate of the lab's.
open_firefox() { ask "$1" open "{\"netns\": \"tp-$2-$instance\", \"browser\": \"firefox\"}"; }

# publish PAGE ROOM PARTICIPANT [JSON-FIELDS]
publish() { ask "$1" publish "{\"url\": \"$WHIP_URL/$2/$3\", \"token\": \"$WHIP_TOKEN\" ${4:+, $4}}"; }
# watch PAGE ROOM[/PARTICIPANT] [JSON-FIELDS]
watch() { ask "$1" watchSoon "{\"url\": \"$WHEP_URL/$2\", \"token\": \"$WHEP_TOKEN\" ${3:+, $3}}"; }

# watch_plain PAGE ROOM
watch_plain() { ask "$1" watchSoon "{\"url\": \"http://$TURN_HOST:8080/whep/$2\", \"token\": \"$WHEP_TOKEN\"}"; }

# look PAGE: sets `answer` and keeps it as `seen[PAGE]`; the one before is `seen_before[PAGE]`.
declare -A seen seen_before
look() {
	ask "$1" look
	seen_before[$1]=${seen[$1]-}
	seen[$1]=$answer
}

# since PAGE FILTER: a jq filter over {was, is} of the last two looks.
since() { jq -n --argjson was "${seen_before[$1]}" --argjson is "${seen[$1]}" "$2"; }

# Pictures sent: of an SVC stream each spatial layer counts as a frame in the browser's statistics.
pictures_sent='[.outbound[] | select(.kind == "video") |
	(.framesSent / ((.scalabilityMode // "L1" | capture("^[LS](?<n>[0-9])").n | tonumber))) | floor] | max'
video='[.inbound[] | select(.kind == "video")] | max_by(.framesDecoded)'

# lose HOST RATE|0: random loss of UDP both ways on the wire of HOST.
lose() {
	local wire=tp-wire-$instance direction
	nsenter --net="/run/netns/$wire" tc qdisc del dev "$1" clsact 2>/dev/null || true
	[[ $2 == 0 ]] && return
	nsenter --net="/run/netns/$wire" tc qdisc add dev "$1" clsact
	for direction in ingress egress; do
		nsenter --net="/run/netns/$wire" tc filter add dev "$1" "$direction" \
			bpf da obj "$build/tests/e2e/loss.bpf.o" sec "lose_$2"
	done
}

# throttle HOST KBIT|0: what goes toward HOST.
throttle() {
	local wire=tp-wire-$instance
	nsenter --net="/run/netns/$wire" tc qdisc del dev "$1" root 2>/dev/null || true
	[[ $2 == 0 ]] ||
		nsenter --net="/run/netns/$wire" tc qdisc add dev "$1" root tbf rate "${2}kbit" burst 8kb latency 200ms
}
