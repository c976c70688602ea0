#!/usr/bin/env bash
# The story of make demo on a cloud: three relays on droplets of a simulated DigitalOcean,
# published in a zone of a simulated Cloudflare. A price is named, machines are bought,
# published beside somebody else's record, proven and counted, one loses its power, heals,
# a region is replaced, and everything goes away without a trace. No account, no root, no
# network (Linux); everything lies under .demo-cloud of this clone. It takes about three
# minutes: a record that is withdrawn is waited for as long as resolvers may remember it,
# and at Cloudflare that is a minute at least.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ "$(uname -s)" = Linux ] || { echo "demo-cloud: simulated droplets need Linux" >&2; exit 1; }
root=$PWD/.demo-cloud
name=cloud-$$
fleet=$root/$name
export DIGITALOCEAN_TOKEN=a-made-up-token CLOUDFLARE_API_TOKEN=another-made-up-token
unset BASE_DOMAIN DRY_RUN DIGITALOCEAN_ACCESS_TOKEN CLOUDFLARE_ZONE_ID
PATH=$PWD/bin:$PATH
cloud=''
zone=''

say() { printf '\n\033[1m# %s\033[0m\n' "$1" | plain; }
plain() { if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi; }
show() { printf '$ fleetctl %s\n' "$*"; fleetctl "$@"; }
fail() { printf 'demo-cloud: %s\n' "$1" >&2; exit 1; }
# expect CODE ARGS...: the command has to end with that code.
expect() {
    local want=$1 got=0
    shift
    show "$@" || got=$?
    [ "$got" = "$want" ] || fail "fleetctl $* ended with $got, expected $want"
    [ "$want" = 0 ] || printf '(exit %s, as it should)\n' "$got"
}
# request URL TOKEN METHOD [BODY]: one request, its answer's body.
request() {
    local at=${1#http://127.0.0.1:} body=${4:-}
    exec 3<>"/dev/tcp/127.0.0.1/${at%%/*}"
    printf '%s /%s HTTP/1.0\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' \
        "$3" "${at#*/}" "$2" "${#body}" "$body" >&3
    sed '1,/^\r$/d' <&3
    exec 3<&- 3>&-
}
# api METHOD PATH [BODY]: one request to the cloud. dns METHOD [BODY]: one to the records.
api() { request "$DIGITALOCEAN_API_URL/v2/$2" "$DIGITALOCEAN_TOKEN" "$1" "${3:-}"; }
dns() { request "$CLOUDFLARE_BASE_URL/zones/$zone_id/dns_records" "$CLOUDFLARE_API_TOKEN" "$@"; }
# field NODE NAME: a number or a word of one relay in status -o json.
field() {
    fleetctl status -o json -q | tr -d '\n' | sed 's/{ *"node"/\n&/g' |
        sed -n "s/.*\"node\": *\"$1\".*\"$2\": *\"\{0,1\}\([^\",}]*\).*/\1/p" | head -n 1
}
# wait_for WHAT COMMAND...: at most ten seconds.
wait_for() {
    local what=$1 n=0
    shift
    until "$@"; do
        n=$((n + 1))
        [ "$n" -lt 100 ] || fail "$what: not within ten seconds"
        read -r -t 0.1 <> <(:) || true
    done
}
stop_clouds() {
    kill "$cloud" "$zone" 2>/dev/null || true
    wait "$cloud" || fail "the cloud did not end well: $(cat "$fleet/cloud.log")"
    wait "$zone" || fail "the zone did not end well: $(cat "$fleet/zone.log")"
    cloud='' zone=''
}
clean_up() {
    local code=$?
    trap - EXIT
    if [ -n "$cloud" ] && [ -n "$zone" ]; then
        (cd "$fleet" && fleetctl down --yes --expect-count 3 -q >/dev/null 2>&1) || true
    fi
    for process in $cloud $zone; do
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    rm -rf "$fleet"
    exit "$code"
}
trap clean_up EXIT
mkdir -p "$fleet"
go build -o "$fleet/serve" ./pkg/provider/digitalocean/dotest/serve
go build -o "$fleet/serve-zone" ./pkg/zone/cloudflare/cftest/serve
export XDG_STATE_HOME=$root/state XDG_CONFIG_HOME=$root/config
cd "$fleet"

say 'A cloud: the simulated DigitalOcean, with machines behind its droplets'
printf '$ serve -listen 127.0.0.1:0 -boxes local -limit 5\n'
"$fleet/serve" -listen 127.0.0.1:0 -boxes local -limit 5 -token "$DIGITALOCEAN_TOKEN" -dir "$fleet/droplets" \
    >"$fleet/cloud.out" 2>"$fleet/cloud.log" &
cloud=$!
wait_for 'the cloud answers' grep -q '^listening on ' "$fleet/cloud.out"
cat "$fleet/cloud.out"
DIGITALOCEAN_API_URL=$(sed -n 's/^listening on //p' "$fleet/cloud.out")
export DIGITALOCEAN_API_URL

say 'A zone: the simulated Cloudflare, and two name servers that hear of a change a second later'
printf '$ serve-zone -zone %s.test -delay 1s\n' "$name"
"$fleet/serve-zone" -listen 127.0.0.1:0 -dns 127.0.0.1:0 -dns 127.0.0.1:0 -zone "$name.test" -token "$CLOUDFLARE_API_TOKEN" -delay 1s \
    >"$fleet/zone.out" 2>"$fleet/zone.log" &
zone=$!
wait_for 'the zone answers' grep -q '^name server ns2' "$fleet/zone.out"
cat "$fleet/zone.out"
CLOUDFLARE_BASE_URL=$(sed -n 's/^listening on //p' "$fleet/zone.out")
export CLOUDFLARE_BASE_URL
zone_id=$(sed -n 's/^zone [^ ]* //p' "$fleet/zone.out")

say "Somebody else's bootnode is there already"
bootnode="_dnsaddr.p2p.$name.test TXT dnsaddr=/dns4/boot.$name.test/tcp/443/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
printf '%s\n' "$bootnode"
dns POST "{\"type\":\"TXT\",\"name\":\"${bootnode%% *}\",\"content\":\"\\\"${bootnode##* }\\\"\",\"ttl\":300}" >/dev/null

say 'A fleet is a file'
cat >fleet.yaml <<YAML
name: $name
provider: digitalocean
nodes:
  - {region: nyc1}
  - {region: fra1}
  - {region: sgp1}
digitalocean: {size: s-1vcpu-1gb, image: debian-12-x64, ssh_port: 2222, max_monthly: 30, max_machines: 5}
relay: {network: /bitterbot}
dns: {zone: cloudflare, domain: p2p.$name.test, ttl: 60, min_relays: 2, publish: {scope: any}}
rollout: {min_healthy_time: 2s, drain_timeout: 5s}
YAML
cat fleet.yaml

say 'What would be bought, and its price'
expect 0 plan

say 'Up: three droplets, three relays, three records, each address proven by a real client'
expect 0 up --yes

say 'Prove it again: resolve, dial, reserve, relay bytes through each'
expect 0 verify

say "The records: ours, and the one that is not"
expect 0 dnsaddr list

say 'What every name server of the zone answers, and whether it works'
mapfile -t servers < <(sed -n 's/^name server [^ ]* //p' zone.out)
expect 0 dnsaddr verify "${servers[@]/#/--authority=}"

say 'Count'
expect 0 stats

say 'A droplet loses its power'
victim=nyc1-1
id=$(field "$victim" machine)
peer=$(field "$victim" peer_id)
printf '$ POST /v2/droplets/%s/actions {"type":"power_off"}\n' "$id"
api POST "droplets/$id/actions" '{"type":"power_off"}' >/dev/null
off() { api GET "droplets/$id" | grep -q '"status":"off"'; }
wait_for 'the droplet is off' off
expect 4 verify

say 'Up again: the same droplet, the same peer ID'
expect 0 up --yes
[ "$(field "$victim" peer_id)" = "$peer" ] || fail "$victim has another peer ID than before"
[ "$(field "$victim" machine)" = "$id" ] || fail "$victim is another droplet than before"

say 'Replace a region: the new relay serves before the old one goes'
expect 0 replace-region fra1 --yes
expect 0 verify

say 'In sync: a second look changes nothing'
expect 0 up --yes
expect 0 plan --detailed-exitcode
expect 0 dnsaddr sync --dry-run --detailed-exitcode

say 'Down: it costs money, so the count is asked for'
expect 0 down --yes --expect-count 3

say "What is left? Somebody else's record"
for what in droplets tags firewalls account/keys; do
    left=$(api GET "$what?per_page=200")
    case $left in *'"total":0'*) ;; *) fail "$what are left: $left" ;; esac
done
[ -z "$(ls "$fleet/droplets" 2>/dev/null)" ] || fail "directories of droplets are left: $(ls "$fleet/droplets")"
left=$(dns GET)
case $left in *"boot.$name.test"*'"total_count":1,'*) ;; *) fail "records are left, or somebody else's is not: $left" ;; esac
printf '%s\n' "$bootnode"
stop_clouds
grep -q violation "$fleet/cloud.log" && fail "requests that DigitalOcean does not allow: $(cat "$fleet/cloud.log")"
grep -q violation "$fleet/zone.log" && fail "requests that Cloudflare does not allow: $(cat "$fleet/zone.log")"
for pid in /proc/[0-9]*; do
    command=$({ tr '\0' ' ' <"$pid/cmdline"; } 2>/dev/null || true) # one that has ended has none
    case $command in
    *"$fleet"* | *"$XDG_STATE_HOME/fleetctl/$name"*) fail "process ${pid#/proc/} still runs: $command" ;;
    esac
done
say 'On this computer: the key, the pins and the log of what was done, until somebody removes them'
(cd "$XDG_STATE_HOME/fleetctl/$name" && ls)
rm -r "${XDG_STATE_HOME:?}/fleetctl/$name"
cd "$root/.."
rm -rf "$fleet"
rmdir "$XDG_STATE_HOME/fleetctl" "$XDG_STATE_HOME" "$XDG_CONFIG_HOME" "$root" 2>/dev/null || true
echo 'nothing left behind'
