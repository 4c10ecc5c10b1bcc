#!/bin/bash
# The operators' verbs about users, judged by coturn's client: a credential that turnpikectl makes relays, a user's use is
# summed, and a user who is ended is ended everywhere.
. "$(dirname "$0")/lab_session.bash"
lab_session_start --relay-only

lab exec peer -- turnutils_peer -L "$PEER_HOST" >/dev/null 2>&1 &
peer_start

# relays USER PASSWORD: one client relays 20 messages without a loss.
relays() {
	lab exec client -- timeout 30 turnutils_uclient -c -n 20 -m 1 -u "$1" -w "$2" -e "$PEER_HOST" "$TURN_HOST" >"$scratch/out" 2>&1
	grep -q 'Total lost packets 0 (0.000000%)' "$scratch/out" && grep -q 'tot_recv_msgs=20' "$scratch/out"
}

ctl --json credential new --config "$run_dir/turnpike.yaml" --user alice --lifetime 10m >"$scratch/credential"
user=$(jq -r .username "$scratch/credential")
password=$(jq -r .password "$scratch/credential")
expires=$(jq -r .expires_at "$scratch/credential")
[[ $user == "$expires:alice" ]] || die "the username is $user, it expires at $expires"
(((expires - $(date +%s)) > 590 && (expires - $(date +%s)) <= 600)) || die "ten minutes are not $expires"
jq -e '.urls | index("turn:198.18.0.2:3478?transport=udp")' "$scratch/credential" >/dev/null || die "$(cat "$scratch/credential")"
relays "$user" "$password" || die "the new credential: $(tail -n 5 "$scratch/out")"
! relays "$((expires + 60)):alice" "$password" || die "a username with another expiry passed"
passed "a credential of turnpikectl relays; its expiry cannot be changed"

key=$(echo lab-secret | ctl user key lab --realm lab.turnpike)
[[ $key == "$(printf %s lab:lab.turnpike:lab-secret | md5sum | cut -d' ' -f1)" ]] || die "the key of lab is $key"
passed "user key makes the key that clients make"

probe_start two --clients 2 --rate 100
probe_start one --user "$user" --password "$password" --clients 1 --rate 50
sleep 1
ctl --json user list >"$scratch/users"
jq -e '[.users[] | select(.name == "lab" and .source == "file" and .allocations >= 2 and .up_pkts > 0)] | length == 1' \
	"$scratch/users" >/dev/null || die "user list: $(cat "$scratch/users")"
jq -e '[.users[] | select(.name == "alice" and .source == "rest_secrets" and .allocations >= 1)] | length == 1' \
	"$scratch/users" >/dev/null || die "user list: $(cat "$scratch/users")"
summed=$(ctl --json user show lab | jq '.users[0].allocations as $n | (.ids | length) == $n')
[[ $summed == true ]] || die "user show: $(ctl --json user show lab)"
ctl user list | grep -q '^alice ' || die "$(ctl user list)"
passed "users are listed with what they use, credentials by their lasting part"

killed=$(ctl --json user kill lab | jq .killed)
((killed >= 2)) || die "killed $killed"
[[ $(ctl --json allocations --user lab | jq .matching) == 0 ]] || die "$(ctl allocations)"
[[ $(ctl --json allocations --user alice | jq .matching) -ge 1 ]] || die "another user was ended"
passed "user kill ends all allocations of a user, and nobody else's"
! ctl user kill nobody 2>"$scratch/err" || die "nobody was killed"
grep -q 'nobody' "$scratch/err" || die "$(cat "$scratch/err")"
! ctl user add bob --config "$run_dir/turnpike.yaml" </dev/null 2>"$scratch/err" || die "bob was added without a store"
grep -q "users stand in the file" "$scratch/err" || die "$(cat "$scratch/err")"
passed "what cannot be done is refused with a remedy"
probe_quit two
probe_window one
expect "the other user lost nothing" "$no_loss"
