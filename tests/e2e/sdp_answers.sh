#!/bin/bash
# Real browsers take our answers to their offers as they are meant. No lab: nothing is connected.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
answerer=$TURNPIKE_BUILD/tests/e2e/sdp_answerer

timeout 80 node "$here/browser/sdp_answers.mjs" chromium "$answerer"
if command -v firefox-esr >/dev/null; then
	timeout 80 node "$here/browser/sdp_answers.mjs" firefox "$answerer"
fi
