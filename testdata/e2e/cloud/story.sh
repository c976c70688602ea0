#!/usr/bin/env bash
# A fleet of three droplets from nothing to nothing, on real Debian systems behind a simulated
# DigitalOcean API: what is promised of a box is looked at on the box and from outside, and
# what goes wrong at night goes wrong here. All traffic stays in network namespaces.
#
#   story.sh PROGRAMS [BIN]    directories: dotest (the API) and sampler (a client) are in
#                              the one, fleetctl and relay in the other, by default bin
#   story.sh --needs           fails where something is missing, and names it
#
# Needs root on Linux; run.sh builds what it needs and runs it.
set -euo pipefail
cd "$(dirname "$0")/../../.."
repo=$PWD
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$repo/testdata/e2e/lib.sh"

need_linux
[ "$(id -u)" = 0 ] || die "the droplets need root: they are namespaces and mounts"
need systemd-nspawn systemd-container
need debootstrap debootstrap
need ip iproute2
need nsenter util-linux
need mkfs.ext4 e2fsprogs
need ping iputils-ping
need curl curl
need jq jq
need ssh openssh-client
need ssh-keyscan openssh-client
need dig bind9-dnsutils
[ -r /usr/share/keyrings/debian-archive-keyring.gpg ] || die "Debian's keys are missing: install debian-archive-keyring"
[ "${1:-}" != --needs ] || exit 0
programs=$(realpath "${1:?usage: story.sh PROGRAMS [BIN]}")
bin=$(realpath "${2:-bin}")

work=$(mktemp -d "${TMPDIR:-/tmp}/fe2e.XXXXXX")
run=${work##*.}
export FLEETCTL_E2E_CACHE=${FLEETCTL_E2E_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fleetctl-e2e}
export FLEETCTL_E2E=$work HOME=$work/home XDG_STATE_HOME=$work/state
export BOXES_RUN=fe2e-$run BOXES_DIR=$work/boxes BOXES_IMAGE=
unset SSH_AUTH_SOCK XDG_CONFIG_HOME
fleet=$work/fleet

# shellcheck source-path=SCRIPTDIR source=cloud.sh
. "$repo/testdata/e2e/cloud/cloud.sh"

cleanup() {
    local code=$?
    trap - EXIT
    keep_logs || true
    cloud_down >>"$work/close.log" 2>&1 || code=1
    end_marked || code=1
    if [ "$code" = 0 ]; then
        rm -rf --one-file-system "$work"
    else
        echo "e2e: FAILED; what is left to look at: $work" >&2
        echo "e2e: the last that the cloud said:" >&2
        tail -n 20 "$work/dotest.log" >&2 || true
        boxes left >&2
    fi
    exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# keep_logs saves what the boxes that there still are would take with them.
keep_logs() {
    local console
    for console in "$BOXES_DIR"/*/console.log; do
        [ ! -e "$console" ] || cp "$console" "$work/console-$(basename "$(dirname "$console")").log"
    done
}

write_spec() {
    mkdir -p "$fleet" "$HOME/.ssh" "$XDG_STATE_HOME"
    chmod 0700 "$HOME/.ssh"
    ssh-keygen -q -t ed25519 -N '' -C operator -f "$HOME/.ssh/id_ed25519"
    ssh-keygen -q -t ed25519 -N '' -C colleague -f "$work/colleague"
    cat >"$fleet/fleet.yaml" <<YAML
name: e2e
id: e2emadeup
provider: digitalocean
nodes:
  - {region: nyc1}
  - {region: fra1}
  - {region: sgp1}
digitalocean:
  size: s-1vcpu-1gb
  image: debian-12-x64
  ssh_port: 22
  ssh_keys: [$HOME/.ssh/id_ed25519.pub]
  tags: [e2e, relay]
  max_monthly: 30
  max_machines: 4
relay: {port: 9100, quic_port: 9101, ws_port: 443, network: /e2e}
dns: {zone: local, domain: p2p.e2e.test, ttl: 2, min_relays: 2}
rollout: {min_healthy_time: 2s, drain_timeout: 10s}
YAML
}

cloud() {
    write_spec
    cloud_up
}

up() {
    local begun=$SECONDS
    quietly fleetctl up --yes
    all_verified
    echo "      up of 3 from nothing to verified: $((SECONDS - begun)) s"
    expect 0 fleetctl plan --detailed-exitcode
}

# shellcheck disable=SC2046 # one argument for each, here and below
user_data() { each user_data_is_clean $(droplets); }

# What cloud-init was sent: nothing that it does not know, and little.
user_data_is_clean() {
    local id=$1 sent=$work/dotest/$1.user-data
    cmp "$sent" "$BOXES_DIR/$id/root/var/lib/cloud/seed/nocloud/user-data"
    [ "$(stat -c %s "$sent")" -le 16384 ] || { echo "$id: more than 16 KiB" >&2; return 1; }
    quietly box "$id" cloud-init schema --config-file /var/lib/cloud/seed/nocloud/user-data
    # It says nothing of top-level keys that it does not know.
    sed -nE 's/^([^ #:]+):.*/\1/p' "$sent" >"$work/keys.$id"
    grep -qx users "$work/keys.$id"
    lacks -vxE 'disable_root|manage_etc_hosts|ssh_deletekeys|ssh_keys|ssh_pwauth|users|write_files' "$work/keys.$id"
    same "$id: private keys" "$(grep -c 'BEGIN .*PRIVATE KEY' "$sent")" 1 # the bootstrap host key
    same "$id: cloud-init" "$(box "$id" timeout 60 cloud-init status --wait | grep -o 'status: .*')" 'status: done'
}

hardening() {
    # shellcheck disable=SC2046
    each hardened $(droplets)
    echo "      systemd-analyze security relay.service: exposure $(sort -n "$work"/exposure.* | tail -n 1)"
}

hardened() {
    local id=$1 exposure
    quietly box "$id" systemd-analyze verify --recursive-errors=no /etc/systemd/system/relay.service
    box "$id" systemd-analyze security --no-pager relay.service >"$work/security.$id"
    exposure=$(sed -nE 's/.*exposure level for relay.service: ([0-9.]+).*/\1/p' "$work/security.$id")
    awk -v e="$exposure" 'BEGIN { exit !(e != "" && e <= 2.0) }' || { cat "$work/security.$id" >&2; return 1; }
    echo "$exposure" >"$work/exposure.$id"
    same "$id: user" "$(box "$id" stat -c %U "/proc/$(unit "$id" MainPID)")" relay
    same "$id: state directory" "$(box "$id" stat -L -c '%U %a' /var/lib/relay)" 'relay 700'
    same "$id: security updates" "$(box "$id" apt-config shell on APT::Periodic::Unattended-Upgrade)" "on='1'"
    same "$id: time service" "$(box "$id" systemctl is-active systemd-timesyncd)" active
}

fence() {
    # shellcheck disable=SC2046
    each fenced $(nodes)
}

# The second fence, from outside. A server on another port shows that it is the fence, and
# not an empty port, that does not answer.
fenced() {
    local node=$1 id host
    id=$(of "$node" machine)
    box "$id" systemd-run --quiet --unit=e2e-server python3 -m http.server --bind :: 8080
    within 20 box "$id" curl --silent --fail --max-time 5 --output /dev/null 'http://[::1]:8080/'
    for host in "$(host_of "$node")" "$(host6_of "$node")"; do
        ports open "$host" 22 9100 443
        ports filtered "$host" 9847 8080
        core ping -c 1 -W 2 "$host" >/dev/null || { echo "$host: no answer to ping" >&2; return 1; }
    done
    box "$id" systemctl stop e2e-server
    answers "$(address "$node" /quic-v1)" || { echo "$node: no answer on QUIC" >&2; return 1; }
}

no_passwords() {
    local node all
    all=$(nodes)
    for node in $all; do
        core ssh -F /dev/null -o PreferredAuthentications=none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
            -o ConnectTimeout=5 "root@$(host_of "$node")" true 2>"$work/refusal" </dev/null || true
        grep -q 'Permission denied (publickey)\.' "$work/refusal" || { cat "$work/refusal" >&2; return 1; }
    done
}

# scanned HOST: the Ed25519 host key that a box shows, as the hex digits of a tag.
scanned() { core ssh-keyscan -T 5 -t ed25519 "$1" 2>/dev/null | awk '$2 == "ssh-ed25519" { print $3 }' | hex; }
hex() { base64 -d | tail -c 32 | od -An -v -tx1 | tr -d ' \n'; }

host_keys_are_their_own() {
    local node all id sent shown
    all=$(nodes)
    for node in $all; do
        id=$(of "$node" machine)
        sent=$(sed -nE 's/.*ed25519_public: *"?ssh-ed25519 ([A-Za-z0-9+/=]+).*/\1/p' "$work/dotest/$id.user-data" | hex)
        shown=$(scanned "$(host_of "$node")")
        same "$node: host keys sent and shown, their lengths" "${#sent} ${#shown}" "64 64"
        [ "$sent" != "$shown" ] || { echo "$node: still shows the key of its user_data" >&2; return 1; }
        same "$node: tags" "$(api GET "droplets/$id" | jq -r '[.droplet.tags[] | select(startswith("hostkey:"))] | join(" ")')" "hostkey:$shown"
        same "$node: host keys shown" "$(core ssh-keyscan -T 5 "$(host_of "$node")" 2>/dev/null | awk '{ print $2 }' | sort -u)" ssh-ed25519
    done
}

openssh() {
    local node all
    all=$(nodes)
    fleetctl ssh --print-config >"$work/ssh_config"
    for node in $all; do
        same "$node: hostname" "$(core ssh -F "$work/ssh_config" -o BatchMode=yes "$node" hostname </dev/null)" \
            "$(api GET "droplets/$(of "$node" machine)" | jq -r .droplet.name)"
        core ssh -F /dev/null -i "$HOME/.ssh/id_ed25519" -o BatchMode=yes -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes \
            -o "UserKnownHostsFile=$XDG_STATE_HOME/fleetctl/e2e/known_hosts" "fleetctl@$(host_of "$node")" sudo true </dev/null
    done
}

# Somebody else with the token and a key: no state directory, no prompt, and no guess. The
# local zone is one of the first operator's computer, so there are no records to see.
another_operator() {
    local state=$XDG_STATE_HOME was
    was=$(jq -r '.relays[] | .node + " " + .peer_id' "$work/status.json")
    export XDG_STATE_HOME=$work/elsewhere
    fleetctl status -o json >"$work/elsewhere.json" 2>"$work/elsewhere.err" || { cat "$work/elsewhere.json" "$work/elsewhere.err" >&2; return 1; }
    same "its relays" "$(jq -r '.relays[] | .node + " " + .peer_id' "$work/elsewhere.json")" "$was"
    same "hostname" "$(fleetctl ssh nyc1-1 -- hostname)" "$(api GET "droplets/$(of nyc1-1 machine)" | jq -r .droplet.name)"
    export XDG_STATE_HOME=$state
}

digitaloceans_own_client() {
    (cd "$repo/testdata/e2e/js" && core env DIGITALOCEAN_TOKEN="$token" node_modules/.bin/node digitalocean.mjs \
        --api "$DIGITALOCEAN_API_URL" --tag fleet:e2e --fence fence:e2e --droplets 3) >"$work/dots" 2>&1 || { cat "$work/dots" >&2; return 1; }
}

# restarted ID PID: the service runs again, as another process.
restarted() {
    local pid
    [ "$(unit "$1" ActiveState)" = active ] && pid=$(unit "$1" MainPID) && [[ $pid =~ ^[1-9][0-9]*$ ]] && [ "$pid" != "$2" ]
}

survives_signals() {
    local killed hung killed_pid hung_pid begun=$SECONDS
    killed=$(of nyc1-1 machine) hung=$(of fra1-1 machine)
    killed_pid=$(unit "$killed" MainPID) hung_pid=$(unit "$hung" MainPID)
    box "$hung" kill -STOP "$hung_pid"
    box "$killed" kill -KILL "$killed_pid"
    within 30 restarted "$killed" "$killed_pid"
    within 20 answers "$(address nyc1-1 /tcp/9100)"
    within 100 restarted "$hung" "$hung_pid"
    within 20 answers "$(address fra1-1 /tcp/9100)"
    echo "      after kill -STOP the watchdog had it back in $((SECONDS - begun)) s"
}

# pids prints what a change in place must leave as it is: droplets, processes, starts.
pids() {
    local node all id
    all=$(nodes) || return 1
    for node in $all; do
        id=$(of "$node" machine) || return 1
        echo "$node $id $(unit "$id" MainPID) $(unit "$id" InvocationID)"
    done
}

# fill ID writes until the box's disk takes no more byte.
fill() {
    local size
    for size in 1M 4K 1; do
        box "$1" dd if=/dev/zero of=/var/full bs=$size oflag=append conv=notrunc status=none 2>/dev/null || true
    done
    same "$1: room on its disk" "$(box "$1" sh -c 'if echo more >/var/more; then echo some; else echo none; fi' 2>/dev/null)" none
}

# A key more in the spec, while one box has no room for it: that box is named and loses
# nothing, and with room again the same command heals it. Nothing is replaced or restarted.
add_key_with_a_full_disk() {
    local before full
    before=$(pids)
    same "processes" "$(grep -cE ' [1-9][0-9]* [0-9a-f]{32}$' <<<"$before")" 3
    full=$(of sgp1-1 machine)
    fill "$full"
    sed -i "s#ssh_keys: \[\(.*\)\]#ssh_keys: [\1, $work/colleague.pub]#" "$fleet/fleet.yaml"
    quietly fleetctl plan
    [ -s "$said" ]
    lacks -iE 'replace|restart|create' "$said"
    local code=0
    fleetctl up --yes >"$work/full.log" 2>&1 || code=$?
    case $code in 1 | 3 | 4) ;; *) cat "$work/full.log" >&2; echo "up with a full disk ended with $code" >&2; return 1 ;; esac
    grep -qi 'sgp1-1.*no space left' "$work/full.log" || { cat "$work/full.log" >&2; return 1; }
    echo "      full disk: exit $code, $(grep -i -m 1 'no space left' "$work/full.log")"
    expect 0 fleetctl verify
    same "the operator's key" "$(fleetctl ssh sgp1-1 -- echo in)" in

    box "$full" rm -f /var/full /var/more
    within 90 well "$full" # the relay tries to write again by itself
    quietly fleetctl up --yes
    expect 0 fleetctl plan --detailed-exitcode
    all_verified
    same "droplets and processes" "$(pids)" "$before"
    local node all
    all=$(nodes)
    for node in $all; do
        core ssh -F "$work/ssh_config" -o BatchMode=yes -o IdentityFile=none -i "$work/colleague" "$node" true </dev/null
    done
}

# well ID: the relay of that box warns of nothing.
well() {
    box "$1" curl --silent --fail --max-time 5 http://127.0.0.1:9847/readyz | says '.ready and has("warnings") and (.warnings | length) == 0'
}

reboot() {
    local id boot now begun=$SECONDS
    id=$(of nyc1-1 machine)
    boot=$(box "$id" cat /proc/sys/kernel/random/boot_id)
    box "$id" systemctl reboot
    within 20 off "$(address nyc1-1 /tcp/9100)"
    within 90 answers "$(address nyc1-1 /tcp/9100)" # it has the peer ID of before
    now=$(box "$id" cat /proc/sys/kernel/random/boot_id)
    [[ -n $now && $now != "$boot" ]] || { echo "it did not boot again" >&2; return 1; }
    ports open "$(host_of nyc1-1)" 22 9100 443
    ports filtered "$(host_of nyc1-1)" 9847
    expect 0 fleetctl verify
    expect 0 fleetctl plan --detailed-exitcode
    echo "      reboot: served again after $((SECONDS - begun)) s"
}

records() { core dig +short +time=3 +tries=2 -p "${zone##*:}" "@${zone%:*}" "$name" TXT | sort; }

pulled_plug() {
    local id before peer
    id=$(of fra1-1 machine) peer=$(of fra1-1 peer_id)
    zone=$(jq -r .zone.server "$work/status.json") name=$(jq -r .zone.name "$work/status.json")
    before=$(records)
    api POST "droplets/$id/actions" '{"type":"power_off"}' >/dev/null
    within 30 off "$(address fra1-1 /tcp/9100)"
    expect 4 fleetctl verify
    same "records" "$(records)" "$before"
    quietly fleetctl up --yes
    all_verified
    same "fra1-1" "$(of fra1-1 machine) $(of fra1-1 peer_id)" "$id $peer"
    same "records" "$(records)" "$before"
}

replace_region() {
    local old new sampler code=0 begun=$SECONDS
    old=$(of fra1-1 machine)
    "${inside[@]}" "$programs/sampler" -dns "$(jq -r .zone.server "$work/status.json")" -name "$(jq -r .zone.name "$work/status.json")" \
        -floor 2 -through "$(of fra1-1 peer_id)" -ready "$work/sampling" >"$work/samples" 2>&1 &
    sampler=$!
    within 40 test -e "$work/sampling" || { cat "$work/samples" >&2; return 1; }
    quietly fleetctl replace-region fra1 --yes || code=1
    kill -TERM "$sampler"
    wait "$sampler" || code=1
    sed 's/^/      /' "$work/samples"
    [ "$code" = 0 ] || return 1
    all_verified
    new=$(of fra1-1 machine)
    [ "$old" != "$new" ] || { echo "fra1-1 is still droplet $old" >&2; return 1; }
    unknown "droplets/$old"
    boxes left >"$work/left"
    grep -qF "$new" "$work/left"
    lacks -F "$old" "$work/left"
    echo "      replace-region: $((SECONDS - begun)) s"
}

# What the API still has of the fleet. The tags that the spec names are the operator's own,
# and may be on other droplets.
left_in_the_cloud() {
    api GET 'droplets?per_page=200' | jq -r '.droplets[].name' || return 1
    api GET 'tags?per_page=200' | jq -r '.tags[].name | select(. != "e2e" and . != "relay")' || return 1
    api GET 'firewalls?per_page=200' | jq -r '.firewalls[].name'
}

commands_left() {
    local pid
    marked | while read -r pid _; do echo "$pid $(tr '\0' ' ' <"/proc/$pid/cmdline" || true)"; done
}

nothing_left() {
    local there
    there=$(left_in_the_cloud)
    [ "$(wc -l <<<"$there")" -ge 5 ] || { echo "three droplets, a tag and a firewall are not all that can be seen: $there" >&2; return 1; }
    there=$(commands_left)
    [[ $there == */dotest* ]] || { echo "the API is not among the processes that can be seen: $there" >&2; return 1; }
    expect 6 fleetctl down --yes # where machines cost money, their number has to be said
    quietly fleetctl down --yes --expect-count 3
    nothing "in the account" left_in_the_cloud
    same "of the run" "$(boxes left)" "namespace $BOXES_RUN-core"
    [ ! -e "$XDG_STATE_HOME/fleetctl/e2e" ] || { echo "left behind: $XDG_STATE_HOME/fleetctl/e2e" >&2; return 1; }
    cloud_down
    nothing "of the run" boxes left
    nothing "processes" commands_left
    lacks -F violation "$work/dotest.log"
    # The token is in the environment of our processes and the API's, and nowhere else.
    grep -rqF "$FLEETCTL_E2E" "$work"
    lacks -rlF "$token" "$work"
}

image() { "$repo/testdata/e2e/cloud/image.sh" >"$work/image"; }

step "root file system of the droplets" image
BOXES_IMAGE=$(cat "$work/image")
step "cloud" cloud
DIGITALOCEAN_API_URL=$(sed -n 's/^listening on //p' "$work/dotest.out")
[ -n "$DIGITALOCEAN_API_URL" ] || die "the API does not say where it listens"
export DIGITALOCEAN_API_URL DIGITALOCEAN_TOKEN=$token
cd "$fleet"
step "up of three droplets" up
step "user_data" user_data
step "hardening" hardening
step "fence, from outside" fence
step "no passwords" no_passwords
step "host keys" host_keys_are_their_own
step "ssh with the known_hosts" openssh
step "another operator, no state" another_operator
step "DigitalOcean's own client" digitaloceans_own_client
step "kill -9 and kill -STOP" survives_signals
step "a key more, and a full disk" add_key_with_a_full_disk
step "reboot" reboot
step "pulled plug" pulled_plug
step "replace-region under a client" replace_region
step "nothing left" nothing_left
