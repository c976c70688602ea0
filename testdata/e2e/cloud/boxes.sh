#!/usr/bin/env bash
# boxes.sh plays the data centre behind the simulated DigitalOcean of make e2e: each droplet
# is a Debian system of its own, systemd-nspawn with systemd as PID 1 in a network
# namespace, with a disk that a pulled plug leaves and a real cloud-init, given exactly the
# user_data that the API was sent. Nothing of it is reachable from outside: all addresses
# lie in namespaces, and the machine itself gets none.
#
#   boxes.sh open                      the network: a namespace with a bridge, RUN-core
#   boxes.sh boot ID NAME USER_DATA KEYS
#                                      makes a box, switches it on, prints its addresses
#   boxes.sh poweroff ID               pulls the plug
#   boxes.sh poweron ID                switches it on with the disk that it has
#   boxes.sh destroy ID                removes it, disk and all; one that is gone is fine
#   boxes.sh exec ID COMMAND...        runs a command in a box, past its network
#   boxes.sh close                     destroys every box and the network
#   boxes.sh left                      prints what there still is of the run
#
#   BOXES_RUN     a word that only this run has: the name of all that the kernel sees
#   BOXES_DIR     where the boxes' disks are: not on tmpfs, nor on an overlay
#   BOXES_IMAGE   the root file system, from image.sh
#
# Run it outside of ip netns exec, which hides mounts and control groups: nsenter --net
# enters a network and leaves the rest alone. To compare with a droplet: the memory limits of
# units are shown but do not bite, and after a pulled plug unsynced writes are still there.
set -euo pipefail

: "${BOXES_RUN:?}" "${BOXES_DIR:?}"
core=$BOXES_RUN-core
disk_size=2G

# 192.0.0.128/25 is never routed on the internet, yet go-libp2p takes it for public, as it
# does a droplet's; the /64 is a unique local one.
net4=192.0.0
net6=fd77:6532:6532:1

die() { echo "boxes: $*" >&2; exit 1; }

# within SECONDS COMMAND... waits until the command succeeds.
within() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.1
    done
}

# cgroups prints the control groups of the run, or of box ID: one, or on a machine with the
# old hierarchies one in each.
cgroups() {
    local top=/sys/fs/cgroup hierarchy
    if [ -e $top/cgroup.controllers ]; then
        echo "$top/$BOXES_RUN${1:+/$1}"
        return
    fi
    for hierarchy in systemd unified pids memory; do
        if [ -d "$top/$hierarchy" ]; then echo "$top/$hierarchy/$BOXES_RUN${1:+/$1}"; fi
    done
}

# processes prints the pids of the run, or of box ID: its guardian, systemd-nspawn, and all
# that runs in the box.
processes() {
    local group
    for group in $(cgroups "$@"); do
        [ ! -d "$group" ] || find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null || true
    done | sort -un
}

# ended kills what is left of box ID and says whether that was nothing.
ended() {
    local pids
    pids=$(processes "$1")
    [ -n "$pids" ] || return 0
    # shellcheck disable=SC2086 # one argument for each
    kill -KILL $pids 2>/dev/null || true
    return 1
}

# init prints the pid that PID 1 of box ID has here.
init() {
    local pid
    for pid in $(processes "$1"); do
        if grep -qsE '^NSpid:.*[[:space:]]1$' "/proc/$pid/status"; then
            echo "$pid"
            return
        fi
    done
    return 1
}

unmounted() {
    ! mountpoint -q "$1" || umount "$1" 2>/dev/null
}

# removed removes a control group with all below it. What was killed a moment ago may still
# hold one: the kernel lets go of it later than of the process.
removed() {
    [ ! -d "$1" ] || find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || [ ! -d "$1" ]
}

# take gives box ID the lowest address that is free, so that addresses are used again.
take() {
    local n
    for n in {129..250}; do
        if (set -o noclobber && echo "$1" >"$BOXES_DIR/addresses/$n") 2>/dev/null; then
            echo "$n"
            return
        fi
    done
    die "no address is free"
}

# number prints which address box ID has. Others may be giving theirs back meanwhile.
number() { { grep -lxF "$1" "$BOXES_DIR"/addresses/* 2>/dev/null || true; } | sed 's#.*/##'; }

# network connects box ID with address number N.
network() {
    local ns=$BOXES_RUN-$1 n=$2
    ip netns add "$ns"
    ip -n "$core" link add "v$1" type veth peer name eth0 netns "$ns"
    ip -n "$core" link set "v$1" master br0 up
    ip -n "$ns" link set lo up
    ip -n "$ns" link set eth0 up
    ip -n "$ns" addr add "$net4.$n/25" dev eth0
    ip -n "$ns" addr add "$net6::$n/64" dev eth0 nodad
    ip -n "$ns" route add default via "$net4.254"
    ip -n "$ns" -6 route add default via "$net6::1"
}

# plug_in mounts the disk of box ID: what the box writes lies over the image.
plug_in() {
    local box=$BOXES_DIR/$1
    mountpoint -q "$box/disk" || mount -o loop "$box/disk.img" "$box/disk"
    mkdir -p "$box/disk/upper" "$box/disk/work"
    mountpoint -q "$box/root" ||
        mount -t overlay overlay -o "lowerdir=$BOXES_IMAGE,upperdir=$box/disk/upper,workdir=$box/disk/work" "$box/root"
}

# seed is what DigitalOcean tells cloud-init: who the machine is and which of the account's
# keys it was ordered with, what its vendor wants, and the user's data, untouched.
seed() {
    local id=$1 name=$2 user_data=$3 keys=$4 seed=$BOXES_DIR/$1/root/var/lib/cloud/seed/nocloud
    mkdir -p "$seed"
    {
        printf 'instance-id: %s\nlocal-hostname: %s\npublic-keys:\n' "$id" "$name"
        sed -n 's/^ssh-.*/  - &/p' "$keys"
    } >"$seed/meta-data"
    printf '#cloud-config\ndisable_root: false\n' >"$seed/vendor-data"
    cp "$user_data" "$seed/user-data"
}

# switch_on starts the guardian of box ID and does not wait for the box.
switch_on() {
    [ -z "$(processes "$1")" ] || return 0
    plug_in "$1"
    setsid "${BASH_SOURCE[0]}" guard "$1" </dev/null >>"$BOXES_DIR/$1/console.log" 2>&1 9>&- &
    within 10 on "$1" || die "$1: did not start: $(tail -n 3 "$BOXES_DIR/$1/console.log")"
}

on() { [ -n "$(processes "$1")" ]; }

# guard is the box's power supply: it runs the box until that is off, and again when the box
# said reboot, which systemd-nspawn tells by exit code 133.
guard() {
    local id=$1 group code=133
    for group in $(cgroups "$id"); do
        mkdir -p "$group"
        echo $BASHPID >"$group/cgroup.procs"
    done
    while [ "$code" = 133 ]; do
        code=0
        systemd-nspawn --quiet --register=no --keep-unit --boot --directory="$BOXES_DIR/$id/root" \
            --machine="$BOXES_RUN-$id" --network-namespace-path="/run/netns/$BOXES_RUN-$id" \
            --capability=CAP_NET_ADMIN,CAP_NET_RAW --resolv-conf=off --timezone=off --link-journal=no \
            --console=pipe || code=$?
    done
}

open() {
    mkdir -p "$BOXES_DIR/addresses"
    ip netns add "$core"
    ip -n "$core" link set lo up
    ip -n "$core" link add br0 type bridge mcast_snooping 0
    ip -n "$core" link set br0 up
    ip -n "$core" addr add "$net4.254/25" dev br0
    ip -n "$core" addr add "$net6::1/64" dev br0 nodad
}

boot() {
    local id=$1 name=$2 user_data=$3 keys=$4 box=$BOXES_DIR/$1 n
    [ ! -e "$box" ] || die "$id: there already"
    mkdir -p "$box/disk" "$box/root"
    n=$(take "$id")
    truncate -s "$disk_size" "$box/disk.img"
    mkfs.ext4 -q -F -m 0 -O ^has_journal "$box/disk.img"
    plug_in "$id"
    seed "$id" "$name" "$user_data" "$keys"
    network "$id" "$n"
    switch_on "$id"
    echo "$net4.$n"
    echo "$net6::$n"
}

poweroff() { within 60 ended "$1" || die "$1: does not end: $(processes "$1" | tr '\n' ' ')"; }

poweron() {
    [ -d "$BOXES_DIR/$1" ] || die "$1: no such box"
    switch_on "$1"
}

destroy() {
    local id=$1 box=$BOXES_DIR/$1 group n
    poweroff "$id"
    within 60 unmounted "$box/root" || die "$box/root: cannot be unmounted"
    within 60 unmounted "$box/disk" || die "$box/disk: cannot be unmounted"
    if [ -e "/run/netns/$BOXES_RUN-$id" ]; then ip netns delete "$BOXES_RUN-$id"; fi
    for group in $(cgroups "$id"); do
        within 60 removed "$group" || die "$group: cannot be removed"
    done
    rm -rf --one-file-system "${box:?}"
    n=$(number "$id")
    if [ -n "$n" ]; then rm -f "$BOXES_DIR/addresses/$n"; fi
}

# ids prints the boxes that there are, or half are.
ids() { [ ! -d "$BOXES_DIR" ] || find "$BOXES_DIR" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' -printf '%f\n'; }

close() {
    local id code=0 group
    for id in $(ids); do
        "${BASH_SOURCE[0]}" destroy "$id" || code=1
    done
    for group in $(cgroups); do
        within 20 removed "$group" || code=1
    done
    if [ -e "/run/netns/$core" ]; then ip netns delete "$core" || code=1; fi
    [ "$code" != 0 ] || rm -rf --one-file-system "${BOXES_DIR:?}"
    return $code
}

left() {
    ip netns list | awk -v run="$BOXES_RUN-" 'index($1, run) == 1 { print "namespace", $1 }'
    findmnt -rno TARGET | awk -v dir="$BOXES_DIR/" 'index($1, dir) == 1 { print "mount", $1 }'
    losetup -ln -O NAME,BACK-FILE | awk -v dir="$BOXES_DIR/" 'index($2, dir) == 1 { print "loop device", $1 }'
    processes | sed 's/^/process /'
    ids | sed 's/^/box /'
}

# one VERB ID... is done by one process at a time, and waits for the children of one that
# was killed: the lock is theirs, too.
one() (
    exec 9>"$BOXES_DIR/$2.lock"
    flock -w 60 9 || die "$2: in use for a minute now"
    "$@"
)

verb=${1:-}
case $verb in
open | close | left) "$verb" ;;
boot | poweroff | poweron | destroy) one "$@" ;;
guard) guard "$2" ;;
exec)
    id=$2 pid=$(init "$2") || die "$2: is off"
    shift 2
    exec nsenter --target "$pid" --all -- "$@"
    ;;
*) die "unknown: $verb; see the head of this file" ;;
esac
