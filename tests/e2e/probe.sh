#!/bin/bash
# turnpikectl probe against our own relay and against coturn: what works is said to work, and what does not is told with its
# cause and a remedy. Exit code 0 only when all that was asked for works.
. "$(dirname "$0")/lab_session.bash"
lab_session_start

ctl_binary=$build/controlplane/ctl/turnpikectl
user=(--user "$TURN_USER" --password "$TURN_PASS")
coturn=$PEER_HOST

# probe STATUS ARGUMENTS…: runs it in the client's namespace; sets `answer`.
probe() {
	local wanted=$1 status=0
	shift
	answer=$(lab exec client -- timeout 90 "$ctl_binary" --json probe "$@") || status=$?
	[[ $status -eq $wanted ]] || die "probe $*: exit $status instead of $wanted: $answer"
}
# is CHECK STATUS [CONDITION]: a jq condition on the check of that name.
is() { echo "any(.checks[]; .check == \"$1\" and .status == \"$2\" and (${3:-true}))"; }
no_failure='.ok and all(.checks[]; .status != "failed")'

relay_works='.sent == 50 and .lost == 0 and .p50_ms > 0 and .way == "between two allocations of ours"'

# ---- our own

probe 0 stun "stun:$TURN_HOST"
expect "STUN" "$no_failure and $(is 'reach udp' ok '.answers == 20 and (.mapped | startswith("198.18.0.10:"))')"
probe 0 stun "stun:[$TURN_HOST6]:$TURN_PORT"
expect "STUN over IPv6" "$no_failure and $(is 'reach udp' ok '.mapped | startswith("[fd00:18::10]:")')"
expect "no second address, no discovery" "$(is nat note)"

probe 0 turn "turn:$TURN_HOST?transport=udp" "${user[@]}" --count 50
expect "TURN over UDP" "$no_failure and $(is allocate ok '.relayed | startswith("198.18.0.3:")') and $(is relay ok "$relay_works")"
expect "the realm is told" "$(is turn ok ".realm == \"$TURN_REALM\"")"
probe 0 turn "turn:$TURN_HOST?transport=tcp" "${user[@]}" --count 50
expect "TURN over TCP" "$no_failure and $(is 'reach tcp' ok) and $(is relay ok "$relay_works")"
probe 0 turns "turns:$TURN_HOST:$TURN_TLS_PORT?transport=tcp" "${user[@]}" --count 50 --ca "$TURN_CA"
expect "TURN over TLS" "$no_failure and $(is relay ok "$relay_works") and $(is tls ok '.alpn == "stun.turn" and .version == "TLSv1.3"') and $(is 'tls chain' ok) and $(is 'tls expiry' ok '.days_left > 0')"
probe 0 turns "turns:$TURN_HOST:443" "${user[@]}" --count 50 --ca "$TURN_CA"
expect "TURN over TLS on the port of HTTPS" "$(is relay ok "$relay_works")"
probe 0 turns "turns:$TURN_HOST:$TURN_PORT?transport=udp" "${user[@]}" --count 50 --ca "$TURN_CA"
expect "TURN over DTLS" "$(is relay ok "$relay_works") and $(is tls ok '.version == "DTLSv1.2"')"
probe 0 turn "turn:$TURN_HOST" --count 50
expect "without credentials nothing is allocated, and that is said" "$(is allocate note) and all(.checks[]; .check != \"relay\")"

probe 0 turn "turn:$TURN_HOST?transport=udp" --secret "$TURN_SECRET" --count 50
expect "REST credentials and a good clock" "$no_failure and $(is relay ok "$relay_works") and $(is clock ok)"

probe 1 turn "turn:$TURN_HOST?transport=udp" --user "$TURN_USER" --password wrong
expect "a wrong password" "(.ok | not) and $(is allocate failed '.code == 401 and (.remedy | length) > 0')"
probe 1 turn "turn:$TURN_HOST?transport=udp" --secret not-the-secret
expect "a wrong secret is not taken for a wrong clock" "$(is allocate failed '.code == 401') and $(is clock note '.text | test("secret is wrong")')"
probe 1 turns "turns:$TURN_HOST:$TURN_TLS_PORT?transport=tcp" "${user[@]}" --count 50
expect "a certificate that nobody trusts" "$(is 'tls chain' failed) and $(is relay ok)"
probe 1 stun "stun:$TURN_HOST:3999"
expect "a closed port" "$(is 'reach udp' failed '(.text | test("refused")) and (.remedy | test("nothing listens"))')"
probe 1 stun "stun:198.18.0.99"
expect "nobody there" "$(is 'reach udp' failed)"
probe 1 turn "turn:no.such.host.invalid"
expect "a name without address" "$(is name failed)"
probe 1 turns "turns:$TURN_HOST:3999?transport=udp" "${user[@]}"
expect "a port without DTLS" "$(is 'reach dtls' failed)"

# The clock, as an application server whose clock is wrong would see it.
# shifted SECONDS STATUS
shifted() {
	local wanted=$2 status=0
	answer=$(lab exec client -- env SHIFTED_CLOCK_S="$1" LD_PRELOAD="$build/tests/e2e/libshifted_clock.so" \
		ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0" \
		timeout 90 "$ctl_binary" --json probe turn "turn:$TURN_HOST?transport=udp" --secret "$TURN_SECRET" --count 20) || status=$?
	[[ $status -eq $wanted ]] || die "shifted by $1: exit $status: $answer"
}
near() { is clock failed "(.skew_s - $1) | fabs <= 3"; }
shifted -10000 1
expect "our clock is behind: credentials are refused, by how much is told" "$(is allocate failed '.code == 401') and $(near 10000)"
shifted -600 1
expect "a little behind: they end early" "$(is allocate ok) and $(near 600)"
shifted 7200 1
expect "ahead: they stay good too long" "$(is allocate ok) and $(near -7200)"
shifted 20 0
expect "a few seconds are nothing" "$(is clock ok)"

# What people see.
said=$(lab exec client -- timeout 90 "$ctl_binary" probe turn "turn:$TURN_HOST?transport=udp" --user "$TURN_USER" --password wrong) && die "wrong password: exit 0"
grep -q '^failed  allocate  .*refuses user and password (error 401)$' <<<"$said" || die "$said"
grep -q 'remedy: check user, password' <<<"$said" || die "$said"
grep -q '1 of the checks failed$' <<<"$said" || die "$said"
passed "for people: a cause, a remedy and a verdict"

# Secrets are no business of others on this host.
lab exec client -- timeout 60 "$ctl_binary" probe turn "turn:$TURN_HOST?transport=udp" --secret "$TURN_SECRET" --count 300 >/dev/null &
sleep 1
pid=$(pgrep -n -f "probe turn turn:$TURN_HOST.*--count 300" -x -a | awk '{ print $1 }') || pid=
pid=${pid:-$(pgrep -n turnpikectl)}
tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -- '--secret \*\*\*' || die "the secret is in the process list: $(tr '\0' ' ' <"/proc/$pid/cmdline")"
wait %% || die "probe with --count 300 failed"
passed "the secret is not in the process list"

# ---- wrong use

for wrong in "stun turn:a" "turn turns:a" "turns turn:a" "turn turn://a" "turn turn:a --user u" "turn turn:a --password p" \
	"turn turn:a --count 0" "stun stun:a --user u" "turn turn:a --secret s --user u --password p"; do
	status=0
	# shellcheck disable=SC2086
	"$ctl_binary" probe $wrong >/dev/null 2>&1 || status=$?
	[[ $status -eq 2 ]] || die "probe $wrong: exit $status instead of 2"
done
passed "wrong use ends with 2"

# ---- coturn, in the peer's namespace

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$scratch/key.pem" -out "$scratch/cert.pem" \
	-days 9 -subj /CN=turn.test -addext "subjectAltName=DNS:turn.test,IP:$coturn" 2>/dev/null
lab exec peer -- ip address add 198.18.0.21/24 dev eth0
lab exec peer -- turnserver -n -m 1 -L "$coturn" -L 198.18.0.21 -E "$coturn" -p 3478 -a -u other:other-secret -r coturn.test \
	--cert "$scratch/cert.pem" --pkey "$scratch/key.pem" --no-cli --pidfile "$scratch/coturn.pid" \
	--log-file=/dev/null --no-stdout-log >/dev/null 2>&1 &
wait_until 10 lab exec client -- timeout 5 turnutils_stunclient "$coturn" || die "coturn does not answer"
other=(--user other --password other-secret --count 50)

probe 0 turn "turn:$coturn" "${other[@]}"
expect "coturn over UDP, with discovery" "$no_failure and $(is relay ok "$relay_works") and $(is 'nat mapping' ok '.nat | not') and $(is 'nat filtering' ok) and $(is 'reach tcp' ok)"
probe 0 turn "turn:$coturn?transport=tcp" "${other[@]}"
expect "coturn over TCP" "$(is relay ok "$relay_works")"
probe 0 turns "turns:$coturn" "${other[@]}" --ca "$scratch/cert.pem"
expect "coturn over TLS, with a certificate that ends soon" "$(is relay ok "$relay_works") and $(is 'tls chain' ok) and $(is 'tls expiry' note '.days_left == 8') and $(is 'reach dtls' ok)"
probe 0 turns "turns:$coturn?transport=udp" "${other[@]}" --ca "$scratch/cert.pem"
expect "coturn over DTLS" "$(is relay ok "$relay_works") and $(is tls ok '.version == "DTLSv1.2"')"
probe 0 stun "stuns:$coturn" --ca "$scratch/cert.pem"
expect "STUN over TLS" "$(is 'reach tls' ok)"
