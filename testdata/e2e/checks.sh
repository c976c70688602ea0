#!/usr/bin/env bash
# The checks of the end-to-end scripts, tried on what is dead: none of them may take an answer
# that did not come for the answer that it hopes for. It starts nothing, and takes a second.
# shellcheck disable=SC2034,SC2317 # used and called by what is sourced
set -euo pipefail
cd "$(dirname "$0")/../.."
repo=$PWD
work=$(mktemp -d "${TMPDIR:-/tmp}/fe2e.XXXXXX")
trap 'rm -rf "$work"' EXIT
export FLEETCTL_E2E=$work BOXES_RUN=none
programs=$work bin=$work
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$repo/testdata/e2e/lib.sh"
# shellcheck source-path=SCRIPTDIR source=cloud/cloud.sh
. "$repo/testdata/e2e/cloud/cloud.sh"

# functions FILE NAME...: takes functions out of a script that does more than define some.
functions() {
    local file=$1 name
    shift
    for name in "$@"; do
        sed -nE "/^$name\(\) \{.*\}$/p; /^$name\(\) \{$/,/^\}$/p" "$file" >"$work/function"
        [ -s "$work/function" ] || die "$file has no function $name"
        # shellcheck disable=SC1091 # made here
        . "$work/function"
    done
}
functions testdata/e2e/cloud/story.sh restarted well pids left_in_the_cloud
functions testdata/e2e/dns/dns.sh serial bare
functions testdata/e2e/monitoring/monitoring.sh get holds told inhibited
functions testdata/e2e/run.sh relays refused
entry=_dnsaddr.p2p.example.test port=1 # nobody listens there
prometheus_port=1 alert_port=1
DIGITALOCEAN_API_URL=http://127.0.0.1:1
failed=0

# tried COMMAND... runs it as step does; what it ended with is in the variable code.
tried() {
    set +e
    (
        set -e
        "$@"
    ) >"$work/said" 2>&1
    code=$?
    set -e
}

# fails and passes WHAT COMMAND...
fails() {
    local what=$1 code
    shift
    tried "$@"
    [ "$code" != 0 ] || { echo "it passes: $what" >&2; failed=1; }
}
passes() {
    local what=$1 code
    shift
    tried "$@"
    [ "$code" = 0 ] || { echo "it fails: $what: $(cat "$work/said")" >&2; failed=1; }
}

# What can look, and what cannot.
works() { printf '%s' "${1:-}"; }
breaks() { return 1; }
echo text >"$work/file"
passes "two that are the same" same what a a
fails "two that are not" same what a b
fails "two answers that did not come" same what "$(breaks)" "$(breaks)"
passes "nothing is left" nothing what works
fails "something is left" nothing what works something
fails "nobody could look what is left" nothing what breaks
passes "a file without it" lacks -F other "$work/file"
fails "a file with it" lacks -F text "$work/file"
fails "no file" lacks -F text "$work/none"
fails "a pattern that is none" lacks -E '(' "$work/file"
passes "it is true" says . <<<true
fails "it is not true" says . <<<false
fails "it is true, says nobody" says . </dev/null
passes "there is a value" value .a <<<'{"a": 1}'
fails "there is no value" value .a <<<'{}'
fails "there is a value, says nobody" value .a </dev/null
fails "it does not come to pass" within 0 breaks
fails "no ports can be listed" eval 'ss() { return 1; }; free_port'
fails "something was left behind" eval 'marked() { echo "99999999 1"; }; end_marked'
passes "nothing was left behind" eval 'marked() { :; }; end_marked'

# The cloud is dead: core, box and boxes run nothing.
core() { return 1; }
box() { return 1; }
boxes() { return 1; }
one=/ip4/192.0.2.1/tcp/9100/p2p/12D3KooWMadeUp
fails "a relay answers" answers "$one"
fails "a relay is off, says a ping that did not run" off "$one"
fails "a relay runs again" restarted 1 17
fails "a relay is well" well 1
fails "a droplet is unknown, says an API that does not answer" unknown droplets/1
fails "the account is empty, says an API that does not answer" nothing account left_in_the_cloud
fails "a step for no node" each works
fails "a port is refused" same port "$(port 192.0.2.1 22 2>/dev/null)" filtered
: >"$work/status.json"
fails "processes of no node" pids
fails "no nodes" nodes
fails "no droplets" droplets
fails "a field of no node" of nyc1-1 machine
fails "all are verified, says a status that failed" all_verified

# It answers.
core() { return 4; }
passes "a relay is off" off "$one"
fails "no address is off" off ""
fails "half an address is off" off /p2p/12D3KooWMadeUp
core() { return 0; }
fails "a relay that answers is off" off "$one"
core() { printf 404; }
passes "a droplet is unknown" unknown droplets/1
core() { printf 200; }
fails "a droplet that there is is unknown" unknown droplets/1
core() { printf 000; }
fails "a droplet is unknown, says nobody" unknown droplets/1
box() { echo '{"ready": true, "warnings": []}'; }
passes "a relay without warnings is well" well 1
box() { echo '{"ready": true, "warnings": ["disk"]}'; }
fails "a relay that warns is well" well 1
box() { echo '{}'; }
fails "one that says nothing of warnings is well" well 1
box() { echo active; } # to every question
fails "a relay without a process runs again" restarted 1 17

# Servers that are dead.
fails "the zone's serial" serial
fails "a name without records" bare "$entry"
fails "a query holds" holds up
fails "Alertmanager tells" told FleetBelowFloor ''
fails "Alertmanager is silent because of another" inhibited RelayPublishedNotServing nyc1-1
fails "ssh is refused for the right reason" refused "a key" 'Permission denied (publickey)' -F /dev/null -o BatchMode=yes -p 1 127.0.0.1 true
echo '{"relays": []}' >"$work/status.json"
fails "relays of an empty fleet" relays

# Servers that answer, but not with what was asked for.
dig() { printf ';; ->>HEADER<<- opcode: QUERY, status: SERVFAIL, id: 1\n;; flags: qr aa; QUERY: 1\n'; }
fails "a name without records, says a server that has lost its zone" bare "$entry"
dig() { :; }
fails "a serial, says a server that has lost its zone" serial
dig() { printf ';; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN, id: 1\n;; flags: qr aa rd; QUERY: 1\n;%s. IN\tTXT\n' "$entry"; }
passes "a name without records" bare "$entry"
dig() { printf ';; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 1\n;; flags: qr aa rd; QUERY: 1\n;%s. IN\tTXT\n%s. 60 IN\tTXT "x"\n' "$entry" "$entry"; }
fails "a name with records" bare "$entry"
curl() { echo '{"status": "success", "data": {"result": []}}'; }
fails "a query without a result holds" holds up
curl() { echo '{"status": "error"}'; }
fails "a query that failed holds" holds up
curl() { echo '{"status": "success", "data": {"result": [{"value": [1, "1"]}]}}'; }
passes "a query with a result holds" holds up

[ "$failed" = 0 ] || die "these checks prove nothing"
