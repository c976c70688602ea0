#!/usr/bin/env bash
# The checks themselves, checks.sh. Then foreign witnesses: programs that share no code with
# fleetctl use a fleet of three local relays, each in its own way; then the tests that take
# long, a browser's among them, a fleet in zones of BIND and of Knot, dns/dns.sh, and one that
# Prometheus watches, monitoring/monitoring.sh. Meanwhile one of three droplets that are real
# Debian systems lives its life, cloud/story.sh, as root. Linux. What is missing is named and
# fails the run; nothing is skipped. Traffic stays on loopback and in network namespaces
# (npm ci fetches the packages of js/ once, debootstrap the Debian of the droplets once).
set -euo pipefail
cd "$(dirname "$0")/../.."
repo=$PWD
fleetctl=$repo/bin/fleetctl
box_user=relay # who logs in on a local box

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$repo/testdata/e2e/lib.sh"

need_linux
need ssh openssh-client
need sftp openssh-client
need ssh-keygen openssh-client
need dig bind9-dnsutils
need promtool prometheus
need jq jq
need npm npm
need chromium chromium
need go "the version of go.mod"
root=() # what makes a command run as root, for the droplets
if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || die "the droplets need root: run as root, or let sudo work without a password"
    root=(sudo -n "--preserve-env=TMPDIR,FLEETCTL_E2E_CACHE,FLEETCTL_E2E_MIRROR" env "PATH=$PATH:/usr/sbin:/sbin" HOME=/root)
fi
"${root[@]}" bash "$repo/testdata/e2e/cloud/story.sh" --needs
bash "$repo/testdata/e2e/dns/dns.sh" --needs
bash "$repo/testdata/e2e/monitoring/monitoring.sh" --needs
for binary in "$fleetctl" "$repo/bin/relay"; do [ -x "$binary" ] || die "$binary is missing: make build"; done

work=$(mktemp -d "${TMPDIR:-/tmp}/fe2e.XXXXXX")
export XDG_STATE_HOME=$work/state FLEETCTL_E2E=$work
state=$XDG_STATE_HOME/fleetctl/e2e
fleet=$work/e2e
mkdir -p "$fleet" "$XDG_STATE_HOME"
cd "$fleet"
story= # the process of the droplets' story, while it runs

cleanup() {
    local code=$?
    trap - EXIT
    if [ -n "$story" ]; then # something else was wrong: it ends what it began
        kill -TERM "$story" 2>/dev/null || true
        wait "$story" || true
        cat "$work/story.log" >&2
    fi
    if [ -d "$state" ]; then
        "$fleetctl" down --yes >"$work/down.log" 2>&1 || code=1
    fi
    end_marked || code=1
    if [ "$code" = 0 ]; then
        rm -rf "$work"
    else
        echo "e2e: FAILED; what is left to look at: $work" >&2
    fi
    exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

up() {
    "$fleetctl" init --name e2e >/dev/null
    "$fleetctl" up --yes >"$work/up.log" 2>&1 || { cat "$work/up.log" >&2; return 1; }
    "$fleetctl" status -o json >"$work/status.json"
    says '.relays | length == 3 and all(.[]; .published and .verified)' "$work/status.json" ||
        { jq . "$work/status.json" >&2; return 1; }
}

# options for OpenSSH: our files and no other
ssh_options() {
    printf '%s\n' -F /dev/null -i "$state/ssh_key" -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
        -o StrictHostKeyChecking=yes -o "UserKnownHostsFile=$1" -o GlobalKnownHostsFile=/dev/null -o ConnectTimeout=10 -o LogLevel=ERROR
}

# relays writes a line for each of the three to the file relays.
relays() {
    jq -r '.relays[] | [.node, .peer_id, .ssh] | @tsv' "$work/status.json" >"$work/relays"
    same "relays" "$(wc -l <"$work/relays")" 3
}

openssh() {
    local node peer at host port said options
    relays
    mapfile -t options < <(ssh_options "$state/known_hosts")
    while IFS=$'\t' read -r node peer at <&3; do
        host=${at%:*} port=${at##*:}
        host=${host#*@}
        said=$(ssh "${options[@]}" -p "$port" "$box_user@$host" uname -s -m)
        [ "$said" = "$(uname -s -m)" ] || { echo "$node: uname said: $said" >&2; return 1; }

        printf 'get /var/lib/relay/peer-id.txt %s\n' "$work/peer-id" |
            sftp -q "${options[@]}" -P "$port" -b - "$box_user@$host" >/dev/null
        [ "$(cat "$work/peer-id")" = "$peer" ] || { echo "$node: sftp read another peer ID" >&2; return 1; }

        # What a local box must not do.
        local code=0
        ssh "${options[@]}" -p "$port" "$box_user@$host" rm -rf / 2>/dev/null || code=$?
        [ "$code" = 127 ] || { echo "$node: rm -rf / exited $code, want 127" >&2; return 1; }
    done 3<"$work/relays"

    # A host key that is not the pinned one, and a client that nobody knows, end the login.
    ssh-keygen -q -t ed25519 -N '' -f "$work/stranger"
    mapfile -t options < <(ssh_options "$work/other_hosts")
    printf '[%s]:%s %s\n' "$host" "$port" "$(cut -d' ' -f1,2 "$work/stranger.pub")" >"$work/other_hosts"
    refused "a host key that is not the pinned one" 'Host key verification failed' "${options[@]}" -p "$port" "$box_user@$host" uname
    mapfile -t options < <(ssh_options "$state/known_hosts" | sed "s#^$state/ssh_key\$#$work/stranger#")
    refused "a key that nobody knows" 'Permission denied (publickey)' "${options[@]}" -p "$port" "$box_user@$host" uname
}

# refused WHAT WHY ARGUMENTS...: ssh does not get in, and says that this is why.
refused() {
    local what=$1 why=$2
    shift 2
    if ssh "$@" >/dev/null 2>"$work/refusal"; then
        echo "$what was accepted" >&2
        return 1
    fi
    grep -qF "$why" "$work/refusal" || { echo "$what: refused for another reason: $(cat "$work/refusal")" >&2; return 1; }
}

dig_reads_the_zone() {
    local server host port name how
    server=$(jq -r .zone.server "$work/status.json")
    name=$(jq -r .zone.name "$work/status.json")
    host=${server%:*} port=${server##*:}
    jq -r '.relays[] | "\"dnsaddr=" + .addresses[0] + "/p2p/" + .peer_id + "\""' "$work/status.json" | sort >"$work/want"
    for how in +notcp +tcp "+noedns +ignore"; do
        # shellcheck disable=SC2086 # two options
        dig +time=3 +tries=2 +short $how -p "$port" "@$host" "$name" TXT | sort >"$work/got"
        diff -u "$work/want" "$work/got" >&2 || { echo "dig $how: not the relays of status" >&2; return 1; }
    done
    dig +time=3 +tries=1 -p "$port" "@$host" "$name" AXFR | grep -q 'Transfer failed' ||
        { echo "the zone can be transferred" >&2; return 1; }
}

# promtool reads /metrics through OpenSSH's own tunnel. Series of libp2p have names that it
# complains about (exit 3); of our own it must not.
promtool_accepts_metrics() {
    local node at host port options code
    relays
    mapfile -t options < <(ssh_options "$state/known_hosts")
    while IFS=$'\t' read -r node _ at <&3; do
        host=${at%:*} port=${at##*:}
        host=${host#*@}
        { printf 'GET /metrics HTTP/1.0\r\nHost: 127.0.0.1:9847\r\n\r\n'; sleep 2; } |
            ssh "${options[@]}" -W 127.0.0.1:9847 -p "$port" "$box_user@$host" >"$work/answer" || true
        head -n 1 "$work/answer" | grep -q ' 200 ' || { echo "$node: $(head -n 1 "$work/answer")" >&2; return 1; }
        sed '1,/^\r$/d' "$work/answer" >"$work/metrics"
        code=0
        promtool check metrics <"$work/metrics" >"$work/lint" 2>&1 || code=$?
        case $code in
        0) ;;
        3) [ -s "$work/lint" ] && lacks -v '^libp2p_' "$work/lint" || return 1 ;;
        *) cat "$work/lint" >&2; return 1 ;;
        esac
        grep -q '^relay_' "$work/metrics" || { echo "$node: no series of its own" >&2; return 1; }
    done 3<"$work/relays"
}

js_packages() {
    cd "$repo/testdata/e2e/js"
    if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
        npm ci --no-audit --no-fund --prefer-offline >"$work/npm.log" 2>&1 || { tail -n 20 "$work/npm.log" >&2; return 1; }
        touch node_modules/.package-lock.json
    fi
    case $(node_modules/.bin/node --version) in v22.*) ;; *) echo "not Node 22" >&2; return 1 ;; esac
}

js_libp2p() {
    cd "$repo/testdata/e2e/js"
    node_modules/.bin/node witness.mjs --dns "$(jq -r .zone.server "$work/status.json")" \
        --domain "$(jq -r '.zone.name | ltrimstr("_dnsaddr.")' "$work/status.json")" --relays 3
}

nothing_left() {
    marked >"$work/before"
    [ -s "$work/before" ] || { echo "no process of the fleet was found: the check would prove nothing" >&2; return 1; }
    "$fleetctl" down --yes >"$work/down.log" 2>&1 || { cat "$work/down.log" >&2; return 1; }
    local pid began left=0
    while read -r pid began; do
        if [ "$(began "$pid")" = "$began" ]; then
            echo "still running: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")" >&2
            left=1
        fi
    done <"$work/before"
    marked >"$work/after"
    [ ! -s "$work/after" ] || { echo "running now: $(cat "$work/after")" >&2; left=1; }
    [ ! -e "$state" ] || { echo "left behind: $state" >&2; left=1; }
    return $left
}

# The tests with the build tag e2e: every kill point on real processes, and what else takes
# too long for make test. Each file with the tag is run, by the names of its tests.
tagged_tests() {
    cd "$repo"
    local files dirs names file
    files=$(git grep -lE '^//go:build .*\be2e\b' -- '*_test.go') || { echo "no test has the build tag e2e" >&2; return 1; }
    dirs=$(xargs -n 1 dirname <<<"$files" | sort -u | sed 's#^#./#')
    for file in $files; do
        grep -qE '^func Test[A-Za-z0-9_]+\(t \*testing\.T\)' "$file" || { echo "$file has the build tag e2e and no test that can be found" >&2; return 1; }
    done
    names=$(xargs sed -nE 's/^func (Test[A-Za-z0-9_]+)\(t \*testing\.T\).*/\1/p' <<<"$files" | paste -sd '|')
    # Without the race detector, which make test has: these run hundreds of processes.
    # shellcheck disable=SC2086 # one argument for each package
    go run ./testdata/tools/testsum -race=false -tags e2e -count=1 -p 1 -timeout 20m -run "^($names)\$" $dirs
}

# What the droplets' story needs beside fleetctl: the API that it talks to, and a client.
programs() {
    cd "$repo"
    mkdir "$work/programs"
    go build -o "$work/programs/dotest" ./pkg/provider/digitalocean/dotest/serve
    go build -o "$work/programs/sampler" ./testdata/e2e/cloud/sampler
}

step "checks fail where nothing answers" bash "$repo/testdata/e2e/checks.sh"
step "fleet up" up
step "ssh and sftp with the pinned keys" openssh
step "dig, UDP and TCP" dig_reads_the_zone
step "promtool check metrics" promtool_accepts_metrics
step "npm packages" js_packages
step "js-libp2p" js_libp2p
step "nothing left running" nothing_left
step "programs of the cloud" programs
# The droplets mostly wait, in networks of their own: the rest goes on meanwhile.
"${root[@]}" bash "$repo/testdata/e2e/cloud/story.sh" "$work/programs" >"$work/story.log" 2>&1 &
story=$!
step "tests with the tag e2e" tagged_tests
bash "$repo/testdata/e2e/dns/dns.sh" "$repo/bin"
bash "$repo/testdata/e2e/monitoring/monitoring.sh" "$repo/bin" "$work/programs/sampler"
code=0
wait "$story" || code=$?
story=
cat "$work/story.log"
[ "$code" = 0 ]
