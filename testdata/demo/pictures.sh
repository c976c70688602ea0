#!/usr/bin/env bash
# Makes the pictures of the README again, in docs/images: a fleet on this machine, users
# that are really connected, and a census of a made-up month. Needs gnuplot.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v gnuplot >/dev/null || { echo "pictures: install gnuplot (Debian: gnuplot-nox)" >&2; exit 1; }

here=$PWD
work=$(mktemp -d)
export XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/config
PATH=$here/bin:$PATH
clean_up() {
    local code=$?
    [ -z "${users:-}" ] || kill "$users" 2>/dev/null || true
    (cd "$work" && fleetctl down --yes -q >/dev/null 2>&1) || true
    rm -rf "$work"
    exit "$code"
}
trap clean_up EXIT
go build -o "$work/users" ./testdata/e2e/users
cd "$work"
fleetctl init --name pictures >/dev/null
fleetctl up --yes -q >/dev/null

# A relay has met 1,200 peers within a month, more and more a day.
read -r box pid < <(fleetctl status --csv --no-header | awk -F, '$1 == "nyc1-1" {print $10, $8}')
kill -9 "$pid"
awk -v now="$(date +%s)" 'BEGIN {
    printf "["
    for (i = 1; i <= 1200; i++) {
        first = now - 30 * 86400 * (1 - sqrt(i / 1200)) - 600
        printf "%s{\"peer_pubkey\":\"%042dA=\",\"last_peer_id\":\"\",\"first_seen_at\":%d,\"last_seen_at\":%d,", (i > 1 ? "," : ""), i * 10, first, now - 300
        printf "\"tier\":\"edge\",\"address_type\":\"ipv4_public\",\"connection_count\":1}"
    }
    print "]"
}' >"state/fleetctl/pictures/boxes/$box/root/var/lib/relay/bootnode-peers.json"
fleetctl up --yes -q >/dev/null

mapfile -t relays < <(fleetctl dnsaddr list --csv --no-header | sed -n 's/.*dnsaddr=\([^,]*\).*/\1/p')
"$work/users" 24 "${relays[@]}" >ready &
users=$!
for _ in $(seq 300); do grep -q ready ready && break; sleep 0.2; done
fleetctl stats --csv | gnuplot "$here/testdata/demo/connected.gp" >"$here/docs/images/connected.png"
fleetctl stats collect -q >/dev/null
fleetctl stats chart lifetime --since 29d --out "$here/docs/images/lifetime.svg"
ls -l "$here"/docs/images
