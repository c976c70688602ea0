# shellcheck shell=bash
# The cloud of the story: the network, the simulated API with real Debian systems behind its
# droplets, and what asks them. Sourced, with these set.
: "${repo:?}" "${work:?}" "${programs:?}" "${bin:?}"

token=e2e-made-up-token

# The namespace in which everything runs that is not a box. What is started in the background
# is given to the array itself, so that $! is its pid and not that of a shell around it.
inside=(nsenter "--net=/run/netns/$BOXES_RUN-core" --)
core() { "${inside[@]}" "$@"; }
boxes() { "$repo/testdata/e2e/cloud/boxes.sh" "$@"; }
fleetctl() { core "$bin/fleetctl" "$@" </dev/null; }
box() { boxes exec "$@"; } # box ID COMMAND...

# quietly COMMAND... shows what it said only if it failed. It is in the file said.
quietly() {
    said=$work/said.$BASHPID
    "$@" >"$said" 2>&1 || { cat "$said" >&2; return 1; }
}

# expect CODE COMMAND...: it has to end with that code.
expect() {
    local want=$1 got=0
    shift
    said=$work/said.$BASHPID
    "$@" >"$said" 2>&1 || got=$?
    [ "$got" = "$want" ] || { cat "$said" >&2; echo "$* ended with $got, want $want" >&2; return 1; }
}

# each FUNCTION WORDS... runs it for every one of the three words at once, and waits for all
# of them. Words that could not be listed are not as good as done.
each() {
    local run=$1 word pid pids=() code=0
    shift
    same "$run: of how many" $# 3
    for word in "$@"; do
        "$run" "$word" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || code=1; done
    return $code
}

# cloud_up opens the network and starts the API in it.
cloud_up() {
    local plug=$work/plug
    boxes open
    # What a droplet does is done by boxes.sh, with the run's own settings.
    {
        echo '#!/bin/sh'
        printf "export BOXES_RUN='%s' BOXES_DIR='%s' BOXES_IMAGE='%s'\n" "$BOXES_RUN" "$BOXES_DIR" "$BOXES_IMAGE"
        # shellcheck disable=SC2016 # of the script that is written
        printf 'exec "%s" "$@"\n' "$repo/testdata/e2e/cloud/boxes.sh"
    } >"$plug"
    chmod 0700 "$plug"
    mkdir "$work/dotest"
    "${inside[@]}" "$programs/dotest" -token "$token" -boxes exec -exec "$plug" -dir "$work/dotest" \
        >"$work/dotest.out" 2>"$work/dotest.log" &
    echo $! >"$work/dotest.pid"
    within 20 grep -q '^listening on ' "$work/dotest.out"
}

# cloud_down ends the API, which destroys its droplets, and then whatever is left.
cloud_down() {
    local pid code=0
    if pid=$(cat "$work/dotest.pid" 2>/dev/null); then
        kill -TERM "$pid" 2>/dev/null || true
        within 40 gone "$pid" || kill -KILL "$pid"
        rm -f "$work/dotest.pid"
    fi
    boxes close || code=1
    return $code
}

gone() { [ -z "$(began "$1")" ]; }

# api METHOD PATH [BODY]
api() {
    core curl --silent --show-error --fail-with-body --max-time 20 --request "$1" \
        --header "Authorization: Bearer $token" --header 'Content-Type: application/json' \
        ${3:+--data "$3"} "$DIGITALOCEAN_API_URL/v2/$2"
}

# unknown PATH: the API answers that it has no such thing.
unknown() {
    same "GET $1" "$(core curl --silent --max-time 20 --output /dev/null --write-out '%{http_code}' \
        --header "Authorization: Bearer $token" "$DIGITALOCEAN_API_URL/v2/$1")" 404
}

# Of status.json, which look writes: a field of a node's relay.
look() { fleetctl status -o json >"$work/status.json" 2>"$work/status.err" || true; }
of() { value --arg node "$1" ".relays[] | select(.node == \$node) | .$2" "$work/status.json"; }
nodes() { value '.relays[].node' "$work/status.json"; }
droplets() { value '.relays[].machine' "$work/status.json"; }
host_of() { of "$1" ssh | sed 's/^.*@//; s/:[0-9]*$//; s/[][]//g'; }
host6_of() { of "$1" 'addresses[]' | sed -n 's#^/ip6/\([^/]*\)/tcp/9100$#\1#p'; }

# address NODE TRANSPORT: what a client dials, with the peer ID.
address() { echo "$(of "$1" 'addresses[]' | grep -F -- "$2" | head -n 1)/p2p/$(of "$1" peer_id)"; }
answers() { core "$bin/relay" ping --timeout 3s "$1" >/dev/null 2>&1; }

# off ADDRESS: it was dialled and does not answer, which a ping says by exit code 4.
off() {
    local code=0
    [[ $1 == /ip*/p2p/?* ]] || return 1
    answers "$1" || code=$?
    [ "$code" = 4 ]
}

all_verified() {
    look
    says '(.relays | length) == 3 and all(.relays[]; .published and .verified) and (.orphans | length) == 0' \
        "$work/status.json" >/dev/null || { jq . "$work/status.json" >&2; cat "$work/status.err" >&2; return 1; }
}

# Of a box: a property of its relay's service.
unit() { box "$1" systemctl show relay.service --property "$2" --value; }

# ports WANT HOST PORT...: each is open, refused, or filtered: nothing came back.
ports() {
    local want=$1 host=$2 n
    shift 2
    for n in "$@"; do same "$host: port $n" "$(port "$host" "$n")" "$want"; done
}

port() {
    local code=0
    core timeout 2 bash -c "</dev/tcp/$1/$2" 2>/dev/null || code=$?
    case $code in 0) echo open ;; 124) echo filtered ;; 1) echo refused ;; *) echo "unknown: exit $code" ;; esac
}
