#!/usr/bin/env bash
# A fleet of three local relays in a zone at a real primary on loopback, BIND and then
# Knot: updates signed with TSIG, a zone signed with DNSSEC, and somebody who edits it by
# hand. dig and kdig say what is served. The fleet moves from one to the other, and down
# takes it from the last.
#
#   dns.sh BIN       the directory that fleetctl and relay are in
#   dns.sh --needs   fails where something is missing, and names it
#
# Needs no root. Linux.
set -euo pipefail
cd "$(dirname "$0")/../../.."
repo=$PWD
PATH=$PATH:/usr/sbin:/sbin
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$repo/testdata/e2e/lib.sh"

need_linux
need named bind9
need tsig-keygen bind9
need dig bind9-dnsutils
need nsupdate bind9-dnsutils
need knotd knot
need keymgr knot
need ss iproute2
need kdig knot-dnsutils
need jq jq
[ "${1:-}" != --needs ] || exit 0
fleetctl=$(realpath "${1:?usage: dns.sh BIN}")/fleetctl
[ -x "$fleetctl" ] || die "$fleetctl is missing: make build"

work=$(mktemp -d "${TMPDIR:-/tmp}/fe2e.XXXXXX")
export FLEETCTL_E2E=$work XDG_STATE_HOME=$work/state
entry=_dnsaddr.p2p.example.test
friend='dnsaddr=/dnsaddr/bootstrap.friend.test'
daemon=

cleanup() {
    local code=$?
    trap - EXIT
    if [ -d "$XDG_STATE_HOME/fleetctl/e2edns" ]; then
        "$fleetctl" -c "$work/fleet.yaml" down --yes >"$work/down.log" 2>&1 || code=1
    fi
    stop_server
    end_marked || code=1
    if [ "$code" = 0 ]; then
        rm -rf "$work"
    else
        echo "e2e: FAILED; what is left to look at: $work" >&2
        tail -n 30 "$work"/*/server.log >&2 || true
    fi
    exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# stop_server ends the server that start_server started.
stop_server() {
    [ -n "$daemon" ] || return 0
    kill "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
    daemon=
}

zone_file() {
    cat <<ZONE
\$TTL 300
@ IN SOA ns.example.test. hostmaster.example.test. 1 3600 600 86400 60
@ IN NS ns.example.test.
ns IN A 127.0.0.1
www IN TXT "v=spf1 -all"
_dnsaddr.p2p 60 IN TXT "$friend"
ZONE
}

# bind and knot write a server's configuration for $dir and $port, and its key.

bind() {
    tsig-keygen -a hmac-sha256 fleet >"$dir/key.conf"
    secret=$(sed -nE 's/^\s*secret "(.*)";/\1/p' "$dir/key.conf")
    cat >"$dir/named.conf" <<CONF
include "$dir/key.conf";
options {
  directory "$dir"; listen-on port $port { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none;
  session-keyfile none; recursion no; notify no; allow-transfer { key fleet; }; dnssec-validation no;
};
controls { };
zone "example.test" {
  type primary; file "example.test.zone"; dnssec-policy default; inline-signing yes;
  update-policy { grant fleet zonesub TXT; };
};
CONF
    server=(named -g -c "$dir/named.conf")
}

knot() {
    secret=$(keymgr -t fleet hmac-sha256 | sed -nE 's/^\s*secret: (.*)/\1/p')
    cat >"$dir/knot.conf" <<CONF
server:
    rundir: "$dir"
    listen: 127.0.0.1@$port
database:
    storage: "$dir"
key:
  - id: fleet
    algorithm: hmac-sha256
    secret: $secret
acl:
  - id: fleet
    key: fleet
    action: [update, transfer]
zone:
  - domain: example.test
    storage: "$dir"
    file: example.test.zone
    dnssec-signing: on
    acl: fleet
CONF
    server=(knotd -c "$dir/knot.conf")
}

start_server() {
    dir=$work/$1
    port=$(free_port)
    mkdir "$dir"
    zone_file >"$dir/example.test.zone"
    "$1"
    "${server[@]}" >"$dir/server.log" 2>&1 &
    daemon=$!
    printf 'key "fleet" { algorithm hmac-sha256; secret "%s"; };\n' "$secret" >"$dir/nsupdate.key"
    printf '%s\n' "$secret" >"$dir/secret"
    chmod 0600 "$dir/secret"
    cat >"$work/fleet.yaml" <<YAML
name: e2edns
provider: local
nodes:
  - {region: nyc1}
  - {region: fra1}
  - {region: sgp1}
dns:
  zone: rfc2136
  domain: p2p.example.test
  ttl: 60
  publish: {scope: any}
  rfc2136:
    server: 127.0.0.1:$port
    zone: example.test
    key_name: fleet
    key: {file: $dir/secret}
YAML
    local tries=0
    until dig +time=1 +tries=1 @127.0.0.1 -p "$port" example.test SOA | grep -q 'flags:.* aa'; do
        kill -0 "$daemon" 2>/dev/null || { cat "$dir/server.log" >&2; return 1; }
        [ $((tries += 1)) -lt 300 ] || { echo "it does not answer" >&2; return 1; }
        sleep 0.1
    done
}

ours() { "$fleetctl" -c "$work/fleet.yaml" "$@"; }

# records prints the values at the fleet's name, sorted.
records() { dig +short +tcp @127.0.0.1 -p "$port" "$entry" TXT | tr -d '"' | sort; }

# serial prints the zone's serial. A server that does not say it is an error.
serial() {
    local said
    said=$(dig +short +tcp @127.0.0.1 -p "$port" example.test SOA | cut -d ' ' -f 3) || return 1
    [[ $said =~ ^[0-9]+$ ]] || { echo "the zone's serial: the server says '$said'" >&2; return 1; }
    echo "$said"
}

# bare NAME: the server answers for its zone, and has no TXT record at the name.
bare() {
    dig +tcp @127.0.0.1 -p "$port" "$1" TXT >"$work/bare" || return 1
    grep -qE 'status: (NOERROR|NXDOMAIN),' "$work/bare" && grep -qE '^;; flags:[^;]* aa' "$work/bare" &&
        lacks -E '^[^;].*[[:space:]]TXT[[:space:]]' "$work/bare"
}

by_hand() { # by_hand COMMAND... edits the zone with nsupdate
    { printf 'server 127.0.0.1 %s\nzone example.test\n' "$port"; printf '%s\n' "$@"; echo send; } |
        nsupdate -k "$dir/nsupdate.key"
}

# expect N wants N records of ours at the name, and the friend's.
expect() {
    records >"$work/records"
    [ "$(grep -c '/p2p/' "$work/records")" = "$1" ] && grep -qxF "$friend" "$work/records" && return
    echo "want $1 records of ours and the friend's:" >&2
    cat "$work/records" >&2
    return 1
}

fleet_up() {
    ours up --yes >"$work/up.log" 2>&1 || { cat "$work/up.log" >&2; return 1; }
    expect 3
}

# The records carry whose they are at a name that no client asks for.
owned() {
    dig +short +tcp @127.0.0.1 -p "$port" _fleetctl.p2p.example.test TXT >"$work/companion"
    [ "$(grep -c 'c=fleetctl:e2edns/' "$work/companion")" = 3 ] || { cat "$work/companion" >&2; return 1; }
    ours dnsaddr list -o json >"$work/list.json"
    grep -qF "$friend" "$work/list.json" || { cat "$work/list.json" >&2; return 1; }
}

dnssec() {
    local n
    kdig +dnssec +tcp @127.0.0.1 -p "$port" "$entry" TXT >"$work/kdig"
    dig +dnssec +tcp @127.0.0.1 -p "$port" "$entry" TXT >"$work/dig"
    for n in "$work/kdig" "$work/dig"; do
        if ! grep -q 'RRSIG.*TXT' "$n" || [ "$(grep -c '"dnsaddr=' "$n")" != 4 ]; then
            cat "$n" >&2
            return 1
        fi
    done
}

# Nothing to do is nothing done: the serial stays.
no_writes() {
    local before
    before=$(serial)
    ours dnsaddr sync --dry-run --detailed-exitcode >"$work/sync.log" 2>&1 || { cat "$work/sync.log" >&2; return 1; }
    ours dnsaddr sync --yes >"$work/sync.log" 2>&1 || { cat "$work/sync.log" >&2; return 1; }
    same "the serial" "$(serial)" "$before"
}

# Somebody removes one record and changes another: said first, then repaired; what they
# wrote is theirs and stays.
drift() {
    local gone changed theirs theirs_said value code=0
    records >"$work/before"
    gone=$(grep /p2p/ "$work/before" | sed -n 1p)
    changed=$(grep /p2p/ "$work/before" | sed -n 2p)
    theirs=${changed/127.0.0.1/127.0.0.99}
    by_hand "update delete $entry TXT \"$gone\""
    by_hand "update delete $entry TXT \"$changed\"" "update add $entry 60 TXT \"$theirs\""
    ours dnsaddr sync --dry-run --detailed-exitcode >"$work/plan" 2>"$work/plan.err" || code=$?
    [ "$code" = 2 ] || { echo "dry run: exit $code, want 2" >&2; cat "$work/plan" "$work/plan.err" >&2; return 1; }
    for value in "$gone" "$changed"; do
        value=${value#dnsaddr=} # the plan shortens the peer ID
        grep -E '^ +[+] ' "$work/plan" | grep -qF -- " ${value%/p2p/*}/p2p/" || { echo "the plan does not name $value" >&2; cat "$work/plan" >&2; return 1; }
    done
    theirs_said=${theirs#dnsaddr=}
    grep -E '^ +[=] ' "$work/plan" | grep -qF -- " ${theirs_said%/p2p/*}/p2p/" || { echo "the plan does not name $theirs" >&2; cat "$work/plan" >&2; return 1; }
    [ "$(records | grep -c /p2p/)" = 2 ] || { echo "the dry run wrote" >&2; return 1; }
    ours dnsaddr sync --yes >"$work/sync.log" 2>&1 || { cat "$work/sync.log" >&2; return 1; }
    { cat "$work/before"; echo "$theirs"; } | sort | diff - <(records) >&2
}

fleet_down() {
    ours down --yes >"$work/down.log" 2>&1 || { cat "$work/down.log" >&2; return 1; }
    records | diff <({ echo "$friend"; sed -n 's/127.0.0.1/127.0.0.99/p' < <(grep /p2p/ "$work/before" | sed -n 2p); } | sort) - >&2
    bare _fleetctl.p2p.example.test || { echo "the companion is left, or it cannot be told" >&2; cat "$work/bare" >&2; return 1; }
    same "a stranger's name" "$(dig +short @127.0.0.1 -p "$port" www.example.test TXT)" '"v=spf1 -all"'
    [ ! -e "$XDG_STATE_HOME/fleetctl/e2edns" ] || { echo "left behind: $XDG_STATE_HOME/fleetctl/e2edns" >&2; return 1; }
}

# moved publishes a fleet that is up in the zone of another server.
moved() {
    ours dnsaddr sync --yes >"$work/sync.log" 2>&1 || { cat "$work/sync.log" >&2; return 1; }
    expect 3
}

begin=fleet_up
for kind in bind knot; do
    start_server "$kind"
    step "$kind: ${begin/_/ }" "$begin"
    begin=moved
    step "$kind: whose the records are" owned
    step "$kind: dig and kdig +dnssec" dnssec
    step "$kind: in sync, nothing is written" no_writes
    step "$kind: edits by hand are said, then repaired" drift
    step "$kind: in sync again" no_writes
    [ "$kind" = bind ] || step "$kind: down removes ours alone" fleet_down
    stop_server
done
