#!/usr/bin/env bash
# A fleet of three local relays is watched by a Prometheus and an Alertmanager of Debian, with
# what 'fleetctl monitoring init' writes: through 'fleetctl serve' and its tunnels. Every alert
# is fired and ended by promtool, every query of the rules and of the dashboard answers, a
# killed relay is noticed, and one cause is told of once.
#
#   monitoring.sh BIN [SAMPLER]   the directory that fleetctl and relay are in; the user of
#                                 the fleet, built here if it is not given
#   monitoring.sh --needs         fails where something is missing, and names it
#
# Needs no root. Linux. Everything is on loopback.
set -euo pipefail
cd "$(dirname "$0")/../../.."
repo=$PWD
PATH=$PATH:/usr/sbin:/sbin
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$repo/testdata/e2e/lib.sh"

need_linux
need prometheus prometheus
need promtool prometheus
need prometheus-alertmanager prometheus-alertmanager
need amtool prometheus-alertmanager
need curl curl
need jq jq
need ss iproute2
[ "${1:-}" != --needs ] || exit 0
bin=$(realpath "${1:?usage: monitoring.sh BIN [SAMPLER]}")
fleetctl=$bin/fleetctl
for binary in "$fleetctl" "$bin/relay"; do [ -x "$binary" ] || die "$binary is missing: make build"; done
sampler=${2:+$(realpath "$2")}

work=$(mktemp -d "${TMPDIR:-/tmp}/fe2e.XXXXXX")
export FLEETCTL_E2E=$work XDG_STATE_HOME=$work/state
dir=$work/prometheus
pids=()
cd "$work"

cleanup() {
    local code=$?
    trap - EXIT
    [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
    [ ${#pids[@]} = 0 ] || wait "${pids[@]}" 2>/dev/null || true
    if [ -e fleet.yaml ] && [ -d "$XDG_STATE_HOME" ]; then
        "$fleetctl" down --yes >down.log 2>&1 || code=1
    fi
    end_marked || code=1
    if [ "$code" = 0 ]; then
        rm -rf "$work"
    else
        echo "e2e: FAILED; what is left to look at: $work" >&2
        tail -n 5 "$work"/*.log >&2 || true
    fi
    exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

get() { curl -sf --max-time 5 "$@"; }

fleet_up() {
    "$fleetctl" init --name e2emon >/dev/null
    "$fleetctl" up --yes >up.log 2>&1 || { cat up.log >&2; return 1; }
    "$fleetctl" status -o json >status.json
}

# init writes everything for ports of this run. A second run changes nothing, and another
# fleet writes nothing there.
init() {
    local flags=(--serve "http://127.0.0.1:$serve_port" --alertmanager "127.0.0.1:$alert_port" --interval 1s
        --notify "webhook=http://127.0.0.1:$serve_port/nobody")
    "$fleetctl" monitoring init "$dir" "${flags[@]}" -o json | says '.files | length == 7 and all(.[]; .outcome == "written")'
    "$fleetctl" monitoring init "$dir" "${flags[@]}" -o json | says '.files | length == 7 and all(.[]; .outcome == "unchanged")'
    "$fleetctl" monitoring init "$work/direct" --target nyc1-1=127.0.0.1:1 -o json | says '.files | length == 5'
    local code=0
    sed 's/^name: .*/name: another/' fleet.yaml >another.yaml
    "$fleetctl" -c another.yaml monitoring init "$dir" "${flags[@]}" >another.log 2>&1 || code=$?
    same "exit code of another fleet's init" "$code" 6
}

checked() {
    local d
    for d in "$dir" "$work/direct"; do
        promtool check config "$d/prometheus.yml" >promtool.log 2>&1 || { cat promtool.log >&2; return 1; }
        promtool check rules "$d"/rules/*.yml >promtool.log 2>&1 || { cat promtool.log >&2; return 1; }
        amtool check-config "$d/alertmanager.yml" >amtool.log 2>&1 || { cat amtool.log >&2; return 1; }
    done
}

# Every alert of the rules fires in a test, and is quiet in another.
every_alert_fires_and_ends() {
    promtool test rules "$dir"/tests/*.yml "$work"/direct/tests/*.yml >promtool.log 2>&1 || { cat promtool.log >&2; return 1; }
    sed -nE 's/^ *- alert: (.*)/\1/p' "$dir"/rules/*.yml | sort -u >alerts
    [ "$(wc -l <alerts)" -ge 10 ] || { echo "these are all alerts: $(cat alerts)" >&2; return 1; }
    awk '$1 == "alertname:" { alert = $2 }
        $1 == "exp_alerts:" { if ($2 == "[]") quiet[alert]; else fires[alert] }
        END { for (alert in quiet) if (alert in fires) print alert }' "$dir"/tests/*.yml | sort | diff alerts - >&2
}

routed() {
    local to
    to=$(amtool config routes test --config.file="$dir/alertmanager.yml" severity=critical alertname=FleetBelowFloor 2>/dev/null)
    [ "$to" = now ] || { echo "critical goes to $to" >&2; return 1; }
    to=$(amtool config routes test --config.file="$dir/alertmanager.yml" severity=warning alertname=RelayMemoryHigh 2>/dev/null)
    [ "$to" = later ] || { echo "warning goes to $to" >&2; return 1; }
}

# holds QUERY: it has a result. No answer at all is none.
holds() {
    get "http://127.0.0.1:$prometheus_port/api/v1/query" --data-urlencode "query=$1" |
        says '.status == "success" and (.data.result | type == "array" and length > 0)'
}

scraped() {
    within 15 get -o serve.metrics "http://127.0.0.1:$serve_port/metrics"
    within 15 holds 'sum(up{job="relay"}) == 3 and on () max(up{job="fleetctl"}) == 1'
    within 15 holds 'fleet_relays_verified == 3'
    promtool check metrics <serve.metrics >lint.log 2>&1 || { cat lint.log >&2; return 1; }
}

# all_hold FILE: each query in the file has a result; those without one are in the file empty.
all_hold() {
    local query n=0 asked=()
    while read -r query; do
        asked+=(--next -sf --max-time 5 -G "http://127.0.0.1:$prometheus_port/api/v1/query" --data-urlencode "query=$query" -o "answer.$n")
        n=$((n + 1))
    done <"$1"
    rm -f answer.*
    curl "${asked[@]:1}" || true
    for ((i = 0; i < n; i++)); do
        grep -qs '"result":\[{' "answer.$i" || sed -n "$((i + 1))p" "$1"
    done >empty
    [ ! -s empty ]
}

# Two users, who are known to all three relays: each is counted once.
two_users_are_two() {
    within 20 test -e ready
    within 20 holds 'fleet:peers:unique{fleet="e2emon"} == 2'
    within 20 holds 'fleet:relay_users_lifetime:at_most{fleet="e2emon"} > 2'
    within 20 holds 'fleet:relay_bytes_relayed:rate5m{fleet="e2emon"} > 0'
}

# Every rule is evaluated without an error, every recorded series and every query of the
# dashboard has data, and in a fleet that is well no alert fires.
everything_answers() {
    get "http://127.0.0.1:$prometheus_port/api/v1/rules" | jq -c '.data.groups[].rules[]' >rules.json
    [ "$(wc -l <rules.json)" -ge 26 ] || { cat rules.json >&2; return 1; }
    says -s 'all(.[]; .health == "ok")' rules.json || { jq 'select(.health != "ok")' rules.json >&2; return 1; }
    says -s 'all(.[]; (.state // "inactive") != "firing")' rules.json || { jq 'select(.state == "firing")' rules.json >&2; return 1; }
    {
        jq -r 'select(.type == "recording") | .name' rules.json
        # shellcheck disable=SC2016 # a variable of the dashboard
        jq -r '.panels[].targets[].expr | gsub("\\$fleet"; "e2emon")' "$dir/grafana/dashboard.json"
    } >queries
    [ "$(wc -l <queries)" -ge 38 ] || { cat queries >&2; return 1; }
    within 20 all_hold queries || { cat empty >&2; return 1; }
    within 15 holds 'count(count by (__name__) ({__name__=~"fleet_.*"})) >= 15'
}

state_of() { get "http://127.0.0.1:$prometheus_port/api/v1/rules?type=alert" | jq -r --arg name "$1" '[.data.groups[].rules[] | select(.name == $name) | .state] | unique | join(" ")'; }

is_in_state() { [[ " $(state_of "$1") " == *" $2 "* ]]; }

# A relay that is killed is published and does not serve, and its numbers are not read:
# known at once, told of when it lasts. One that came back is well.
a_killed_relay_is_noticed() {
    kill -KILL "$(jq -r '.relays[] | select(.node == "fra1-1") | .pid' status.json)"
    within 20 holds 'fleet_relay_serving{node="fra1-1"} == 0'
    within 20 holds 'up{job="relay",node="fra1-1"} == 0'
    within 10 is_in_state RelayPublishedNotServing pending
    "$fleetctl" up --yes >up.log 2>&1 || { cat up.log >&2; return 1; }
    within 20 holds 'up{job="relay",node="fra1-1"} == 1'
    within 20 holds 'fleet_relay_serving{node="fra1-1"} == 1'
    within 10 is_in_state RelayPublishedNotServing inactive
}

# inhibited ALERT NODE: Alertmanager does not tell of it, because of another.
inhibited() {
    # shellcheck disable=SC2016 # variables of jq
    get "http://127.0.0.1:$alert_port/api/v2/alerts" |
        says --arg alert "$1" --arg node "$2" 'any(.[]; .labels.alertname == $alert and (.labels.node // "") == $node and (.status.inhibitedBy | length) > 0)'
}

told() {
    # shellcheck disable=SC2016 # variables of jq
    get "http://127.0.0.1:$alert_port/api/v2/alerts" |
        says --arg alert "$1" --arg node "$2" 'any(.[]; .labels.alertname == $alert and (.labels.node // "") == $node and .status.state == "active")'
}

one_cause_is_told_once() {
    local alerts=(amtool --alertmanager.url="http://127.0.0.1:$alert_port" alert add)
    within 15 get -o /dev/null "http://127.0.0.1:$alert_port/-/ready"
    "${alerts[@]}" FleetBelowFloor fleet=other severity=critical
    "${alerts[@]}" RelayPublishedNotServing fleet=other node=nyc1-1 severity=warning
    "${alerts[@]}" RelayPublishedNotServing fleet=third node=nyc1-1 severity=warning
    "${alerts[@]}" FleetCollectorStale fleet=third node=nyc1-1 severity=warning
    "${alerts[@]}" RelayMemoryHigh fleet=other node=nyc1-1 severity=warning
    within 15 inhibited RelayPublishedNotServing nyc1-1
    within 15 inhibited FleetCollectorStale nyc1-1
    within 15 told FleetBelowFloor ''
    within 15 told RelayMemoryHigh nyc1-1
    within 15 told RelayPublishedNotServing nyc1-1 # of the third fleet, which is not below its floor
    "${alerts[@]}" FleetCollectorStale fleet=fourth severity=critical
    "${alerts[@]}" RelayPublishedNotServing fleet=fourth node=fra1-1 severity=warning
    "${alerts[@]}" FleetCollectorStale fleet=fourth node=sgp1-1 severity=warning
    within 15 inhibited FleetCollectorStale sgp1-1
    within 15 told RelayPublishedNotServing fra1-1 # it is known, whatever else is not
}

# The numbers of a fleet on this computer go with it.
down_takes_the_history() {
    local history=$XDG_STATE_HOME/fleetctl/e2emon/telemetry.db
    [ -s "$history" ] || { echo "serve kept no history in $history" >&2; return 1; }
    "$fleetctl" down --yes >down.log 2>&1 || { cat down.log >&2; return 1; }
    [ ! -e "${history%/*}" ] || { echo "left behind: ${history%/*}" >&2; return 1; }
}

serve_port=$(free_port) prometheus_port=$(free_port) alert_port=$(free_port)
step "monitoring: fleet up" fleet_up
step "monitoring: init, twice" init
step "monitoring: promtool and amtool check" checked
step "monitoring: every alert fires and ends" every_alert_fires_and_ends
step "monitoring: alerts are routed" routed
if [ -z "$sampler" ]; then
    sampler=$work/sampler
    (cd "$repo" && go build -o "$sampler" ./testdata/e2e/cloud/sampler)
fi

"$fleetctl" serve --listen "127.0.0.1:$serve_port" --look 1s --every 1s >serve.log 2>&1 &
pids+=($!)
prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$work/tsdb" --log.level=warn \
    --web.listen-address="127.0.0.1:$prometheus_port" >prometheus.log 2>&1 &
pids+=($!)
prometheus-alertmanager --config.file="$dir/alertmanager.yml" --storage.path="$work/alertmanager" --log.level=error \
    --web.listen-address="127.0.0.1:$alert_port" --cluster.listen-address= >alertmanager.log 2>&1 &
pids+=($!)
step "monitoring: scraped through the tunnels of serve" scraped
"$sampler" -dns "$(jq -r .zone.server status.json)" -name "$(jq -r .zone.name status.json)" -floor 1 \
    -through "$(jq -r '.relays[0].peer_id' status.json)" -ready ready >sampler.log 2>&1 &
pids+=($!)
step "monitoring: two users are counted once" two_users_are_two
step "monitoring: every rule and query answers" everything_answers
step "monitoring: a killed relay is noticed" a_killed_relay_is_noticed
step "monitoring: one cause is told of once" one_cause_is_told_once
kill "${pids[@]}" 2>/dev/null || true
code=0
wait "${pids[0]}" || code=$?
wait "${pids[@]:1}" || true # what they end with is theirs
pids=()
[ "$code" = 0 ] || die "serve was told to end, and ended with $code"
step "monitoring: down takes the history with it" down_takes_the_history
