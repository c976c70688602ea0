#!/usr/bin/env bash
# The dashboard in a real Chromium: `fleetctl serve` on a fleet of three local relays, one of
# which is killed. It is a test with the tag e2e; this runs it alone and says where its
# pictures are.
#
#   web.sh           runs it
#   web.sh --needs   fails where something is missing, and names it
#
# Needs no root. Linux.
set -euo pipefail
cd "$(dirname "$0")/../../.."
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. testdata/e2e/lib.sh

need_linux
need chromium chromium
need go "the version of go.mod"
[ "${1:-}" != --needs ] || exit 0

rm -rf .e2e/screenshots
step "dashboard in Chromium" go test -tags e2e -count=1 -timeout 5m -run '^TestServe_InChromium$' ./cmd/fleetctl
ls .e2e/screenshots/*.png
