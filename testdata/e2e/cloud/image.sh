#!/usr/bin/env bash
# image.sh prints the directory of the root file system that the droplets of make e2e boot:
# Debian 12 with systemd, OpenSSH and cloud-init, as DigitalOcean's debian-12-x64 has them.
# It is made once (about a minute, 300 MB, from a Debian mirror) and kept beside other
# caches; boxes only read it. Another recipe is another directory.
#
#   FLEETCTL_E2E_CACHE    where images are kept, by default ~/.cache/fleetctl-e2e
#   FLEETCTL_E2E_MIRROR   the Debian mirror
set -euo pipefail

suite=bookworm
mirror=${FLEETCTL_E2E_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
cache=${FLEETCTL_E2E_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fleetctl-e2e}

# What debian-12-x64 has and we rely on. python3-cffi-backend is named because debootstrap
# does not find who provides the virtual package that cloud-init's cryptography needs.
packages=(
    systemd systemd-sysv systemd-timesyncd libpam-systemd dbus
    cloud-init python3-cffi-backend
    openssh-server sudo nftables unattended-upgrades
    ca-certificates curl e2fsprogs ifupdown iproute2 iputils-ping netbase procps
)

die() { echo "image: $*" >&2; exit 1; }

# unmount ends what a debootstrap that was killed left mounted below a directory.
unmount() {
    local target
    findmnt -rno TARGET | sort -r | while read -r target; do
        case $target in "$1"/*) umount "$target" ;; esac
    done
}

# settle makes a fresh system what a provider's image is: the same for every machine, with
# nothing of the machine that made it.
settle() {
    local root=$1 unit
    rm -f "$root"/etc/ssh/ssh_host_* # made on the box, or sent to it
    rm -f "$root/etc/dpkg/dpkg.cfg.d/e2e"
    : >"$root/etc/machine-id"
    # A box has no network beyond its bridge: a name server that refuses at once is better
    # than one that is waited for.
    rm -f "$root/etc/resolv.conf"
    echo 'nameserver 192.0.0.254' >"$root/etc/resolv.conf"
    : >"$root/etc/apt/sources.list"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*

    # debootstrap leaves cloud-init off.
    for unit in cloud-init-local cloud-init cloud-config cloud-final ssh; do
        systemctl --root="$root" --quiet enable "$unit.service"
    done
    # A container has the clock of its machine, and Debian starts no time service in it; one
    # that runs without the right to set the clock is what a droplet looks like.
    mkdir -p "$root/etc/systemd/system/systemd-timesyncd.service.d"
    cat >"$root/etc/systemd/system/systemd-timesyncd.service.d/e2e.conf" <<'UNIT'
[Unit]
ConditionVirtualization=
ConditionCapability=
[Service]
AmbientCapabilities=
CapabilityBoundingSet=
UNIT
    # The seed replaces DigitalOcean's metadata service, which cloud-init does not ask from
    # a container; addresses come from outside, as with DigitalOcean's network data.
    cat >"$root/etc/cloud/cloud.cfg.d/90-e2e.cfg" <<'CFG'
datasource_list: [NoCloud, None]
network: {config: disabled}
locale: false
CFG
}

[ "$(id -u)" = 0 ] || die "needs root, to make a root file system"
for command in debootstrap:debootstrap flock:util-linux findmnt:util-linux systemctl:systemd; do
    command -v "${command%%:*}" >/dev/null || die "${command%%:*} is missing: install ${command#*:}"
done
[ -r "$keyring" ] || die "$keyring is missing: install debian-archive-keyring"

recipe=$( (echo "$suite" "${packages[@]}" && declare -f settle) | sha256sum | cut -c1-12)
image=$cache/debian-12-$recipe
mkdir -p "$cache"
exec 9>"$cache/lock"
flock -w 600 9 || die "another image is being made: $cache/lock is taken for 10 minutes now"

if [ ! -d "$image" ]; then
    echo "image: making a Debian 12 in $image (about a minute, once)" >&2
    # Only a whole image gets the name; what an interrupted run left is thrown away.
    part=$cache/part
    unmount "$part"
    rm -rf --one-file-system "$part"
    # dpkg need not wait for the disk after each file of something that can be made again.
    mkdir -p "$part/etc/dpkg/dpkg.cfg.d"
    echo force-unsafe-io >"$part/etc/dpkg/dpkg.cfg.d/e2e"
    log=$cache/debootstrap.log
    debootstrap --variant=minbase --force-check-gpg --keyring="$keyring" \
        --include="$(IFS=,; echo "${packages[*]}")" "$suite" "$part" "$mirror" >"$log" 2>&1 9>&- ||
        { tail -n 20 "$log" >&2; die "debootstrap from $mirror: see $log"; }
    settle "$part"
    mv -T "$part" "$image"
fi
echo "$image"
