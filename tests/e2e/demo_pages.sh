#!/bin/bash
# The demo pages in real browsers: publish with three layers, watch, a room of three. TURNPIKE_PICTURES keeps the pictures.
. "$(dirname "$0")/lab_session.bash"
[[ -d $root/tests/e2e/browser/node_modules ]] || (cd "$root/tests/e2e/browser" && npm ci >/dev/null)
lab_session_start
pictures=${TURNPIKE_PICTURES:-$scratch}
mkdir -p "$pictures"
token=$(ctl token new --config "$run_dir/turnpike.yaml" --room '*' --publish --watch)
timeout 200 node "$root/tests/e2e/browser/demo_pages.mjs" "$DEMO_URL" "$token" \
	"tp-client-$instance" "tp-peer-$instance" "$pictures" | tee "$scratch/said" || die "the pages do not do what they should"
passed "$(grep -c '^ok' "$scratch/said") things hold"
