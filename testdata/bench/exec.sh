#!/usr/bin/env bash
# `fleetctl exec` against parallel-ssh on real OpenSSH servers, one in each of BOXES (100)
# network namespaces, as root on Linux. The servers offer curve25519-sha256 alone, so that
# both exchange keys in the same way; there is no delay on the wire. Prints wall time and
# processor time (user and system, with all children) of both, and their ratios; RUNS (3)
# of each, in turn. Nothing leaves the namespaces, and nothing is left of them.
set -euo pipefail
cd "$(dirname "$0")/../.."

boxes=${BOXES:-100}
runs=${RUNS:-3}
prefix=flb$$
fleetctl=$PWD/bin/fleetctl

die() { echo "bench-exec: $1" >&2; exit 1; }
[ "$(uname -s)" = Linux ] || die "network namespaces need Linux"
[ "$(id -u)" = 0 ] || die "network namespaces need root"
PATH=$PATH:/usr/sbin:/sbin
for tool in ip:iproute2 unshare:util-linux sshd:openssh-server ssh:openssh-client ssh-keygen:openssh-client parallel-ssh:pssh; do
    command -v "${tool%%:*}" >/dev/null || die "${tool%%:*} is missing: apt-get install ${tool##*:}"
done
[ -x "$fleetctl" ] || die "$fleetctl is missing: make build"
sshd=$(command -v sshd)

work=$(mktemp -d "${TMPDIR:-/tmp}/flb.XXXXXX")
pids=()
clean_up() {
    local code=$? ns pid
    trap - EXIT
    # unshare waits for its box whatever else it is told; KILL ends it, and with it all in the box.
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    for ns in $(ip netns list | awk -v p="$prefix-" 'index($1, p) == 1 { print $1 }'); do ip netns del "$ns"; done
    rm -rf "$work"
    exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

address() { echo "10.78.$(($1 / 250)).$(($1 % 250 + 1))"; }

# The inside of a box: what is written there goes with it.
cat >"$work/boot.sh" <<'BOOT'
set -e
mount --make-rprivate /
for dir in /run /root /var/lib /var/log; do mount -t tmpfs tmpfs "$dir"; done
mkdir -m 755 /run/sshd
exec "$1" -D -f "$2" 2>/dev/null
BOOT

umask 077
ssh-keygen -q -t ed25519 -N '' -C bench -f "$work/id"
export XDG_STATE_HOME=$work/state
mkdir "$work/state" "$work/state/fleetctl" "$work/state/fleetctl/bench" "$work/fleet"
printf 'name: bench\nprovider: hosts\ndns: {domain: p2p.bench.test}\nhosts:\n' >"$work/fleet/fleet.yaml"
ip netns add "$prefix-core"
ip -n "$prefix-core" link add br0 type bridge
ip -n "$prefix-core" addr add 10.78.255.254/16 dev br0
ip -n "$prefix-core" link set br0 up
for i in $(seq "$boxes"); do
    ns=$prefix-$i at=$(address "$i")
    ip netns add "$ns"
    ip -n "$prefix-core" link add "v$i" type veth peer name eth0 netns "$ns"
    ip -n "$prefix-core" link set "v$i" master br0 up
    ip -n "$ns" link set lo up
    ip -n "$ns" addr add "$at/16" dev eth0
    ip -n "$ns" link set eth0 up
    ssh-keygen -q -t ed25519 -N '' -C "$ns" -f "$work/host$i"
    cat >"$work/sshd$i" <<CONF
ListenAddress $at:22
HostKey $work/host$i
PidFile none
AuthorizedKeysFile $work/id.pub
KexAlgorithms curve25519-sha256
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
StrictModes no
Subsystem sftp internal-sftp
CONF
    ip netns exec "$ns" unshare --mount --pid --fork --kill-child bash "$work/boot.sh" "$sshd" "$work/sshd$i" </dev/null &
    pids+=("$!")
    echo "$at" >>"$work/hosts"
    echo "$at $(cut -d' ' -f1,2 "$work/host$i.pub")" >>"$work/known_hosts"
    echo "  - {address: $at, user: root, key: $work/id, region: bench}" >>"$work/fleet/fleet.yaml"
done
cp "$work/known_hosts" "$work/state/fleetctl/bench/known_hosts"
cat >"$work/ssh_config" <<CONF
User root
IdentityFile $work/id
IdentitiesOnly yes
UserKnownHostsFile $work/known_hosts
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
KexAlgorithms curve25519-sha256
LogLevel ERROR
CONF

inside() { ip netns exec "$prefix-core" env -C "$work/fleet" "$@"; }
ours() { inside "$fleetctl" exec --all -q --concurrency "$boxes" -- echo ok; }
theirs() { inside parallel-ssh -h "$work/hosts" -p "$boxes" -t 60 -i -x "-F $work/ssh_config" echo ok; }

# count NAME: how many boxes answered, and the times of one run, added up.
TIMEFORMAT='%R %U %S'
declare -A wall cpu
run() {
    local name=$1 answered
    { time "$name" >"$work/out" 2>"$work/err"; } 2>"$work/time" || { cat "$work/out" "$work/err" >&2; die "$name failed"; }
    answered=$(grep -cE '(^|: +)ok$' "$work/out") || true
    [ "$answered" = "$boxes" ] || { tail "$work/err" >&2; die "$name: $answered of $boxes boxes answered"; }
    [ "${2:-}" != warm ] || return 0
    wall[$name]=$(awk -v a="${wall[$name]:-0}" '{ print a + $1 }' "$work/time")
    cpu[$name]=$(awk -v a="${cpu[$name]:-0}" '{ print a + $2 + $3 }' "$work/time")
}
tries=0
until (run theirs warm) 2>"$work/late"; do # until the last server listens
    tries=$((tries + 1))
    [ "$tries" -lt 20 ] || { cat "$work/late" >&2; die "not every server answers"; }
done
run ours warm
for _ in $(seq "$runs"); do
    run theirs
    run ours
done

printf '%s boxes, %s runs, no delay, curve25519-sha256, %s\n' "$boxes" "$runs" "$(ssh -V 2>&1)"
awk -v n="$runs" -v ow="${wall[ours]}" -v tw="${wall[theirs]}" -v oc="${cpu[ours]}" -v tc="${cpu[theirs]}" 'BEGIN {
    printf "%-14s %8s %8s\n", "", "wall s", "cpu s"
    printf "%-14s %8.2f %8.2f\n", "fleetctl exec", ow / n, oc / n
    printf "%-14s %8.2f %8.2f\n", "parallel-ssh", tw / n, tc / n
    printf "%-14s %8.2f %8.2f   (fleetctl / parallel-ssh)\n", "ratio", ow / tw, oc / tc
}'
