#!/usr/bin/env bash
# The story of make demo: a fleet of three relays on this machine comes up, is published,
# proven and counted, loses a relay, heals, replaces a region, and goes away without a
# trace. No account, no root, no network; everything lies under .demo of this clone.
set -euo pipefail
cd "$(dirname "$0")/../.."

root=$PWD/.demo
fleet=$root/fleet-$$
export XDG_STATE_HOME=$root/state XDG_CONFIG_HOME=$root/config
unset BASE_DOMAIN DRY_RUN
PATH=$PWD/bin:$PATH

say() { printf '\n\033[1m# %s\033[0m\n' "$1" | plain; }
plain() { if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi; }
show() { printf '$ fleetctl %s\n' "$*"; fleetctl "$@"; }
fail() { printf 'demo: %s\n' "$1" >&2; exit 1; }
# expect CODE ARGS...: the command has to end with that code.
expect() {
    local want=$1 got=0
    shift
    show "$@" || got=$?
    [ "$got" = "$want" ] || fail "fleetctl $* ended with $got, expected $want"
    [ "$want" = 0 ] || printf '(exit %s, as it should)\n' "$got"
}
# field NODE NAME: a number or a word of one relay in status -o json.
field() {
    fleetctl status -o json -q | tr -d '\n' | sed 's/{ *"node"/\n&/g' |
        sed -n "s/.*\"node\": *\"$1\".*\"$2\": *\"\{0,1\}\([^\",}]*\).*/\1/p" | head -n 1
}
clean_up() {
    local code=$?
    if [ -d "$fleet" ]; then (cd "$fleet" && fleetctl down --yes -q >/dev/null 2>&1) || true; fi
    rm -rf "$fleet"
    exit "$code"
}
trap clean_up EXIT
mkdir -p "$fleet"
cd "$fleet"

say 'A fleet is a file'
show init --name "demo-$$"

say 'Up: three relays, three records, each address proven by a real client'
show up --yes

say 'Prove it again: resolve, dial, reserve, relay bytes through each'
show verify

say 'Count'
show stats

say 'A relay dies'
victim=nyc1-1
pid=$(field "$victim" pid)
peer=$(field "$victim" peer_id)
[ -n "$pid" ] && kill -9 "$pid"
printf '$ kill -9 %s\n' "$pid"
expect 4 verify
expect 3 dnsaddr sync --yes

say 'Up again: the same relay, the same peer ID'
show up --yes
[ "$(field "$victim" peer_id)" = "$peer" ] || fail "$victim has another peer ID than before"

say 'Replace a region: the new relay serves before the old one goes'
show replace-region fra1 --yes
expect 0 verify

say 'In sync: a second look writes nothing'
expect 0 dnsaddr sync --dry-run --detailed-exitcode

say 'Down'
pids=$(fleetctl status -o json -q | tr ',' '\n' | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')
show down --yes

say 'What is left?'
for pid in $pids; do
    if kill -0 "$pid" 2>/dev/null; then fail "relay process $pid still runs"; fi
done
if [ -e "$XDG_STATE_HOME/fleetctl/demo-$$" ]; then fail "$XDG_STATE_HOME/fleetctl/demo-$$ is still there"; fi
if command -v pgrep >/dev/null && pgrep -f "$XDG_STATE_HOME/fleetctl/demo-$$" >/dev/null; then
    fail "a process of the demo still runs: $(pgrep -fl "$XDG_STATE_HOME/fleetctl/demo-$$")"
fi
cd "$root/.."
rm -rf "$fleet"
rmdir "$XDG_STATE_HOME/fleetctl" "$XDG_STATE_HOME" "$XDG_CONFIG_HOME" "$root" 2>/dev/null || true
echo 'nothing left behind'
