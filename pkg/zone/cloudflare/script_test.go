package cloudflare_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/relayfleet/fleetctl/fleet/fleettest"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// script does what the shell script did that fleetctl replaces: it asks every relay over
// SSH for its peer ID, leaves out those that do not answer, deletes all TXT records at the
// name, and posts one for each relay that did. It stops at the first request that fails,
// as `set -e` with `curl -f` did. The result is its exit status.
type script struct {
	rig   *rig
	world *fleettest.World
}

// The exit statuses of the script.
const (
	scriptDone    = 0
	scriptNobody  = 1  // no relay answered
	scriptRefused = 22 // of curl -f
)

func (s script) run(ctx context.Context) int {
	var values []string
	for _, b := range s.world.Boxes() {
		if !b.SSHDown {
			values = append(values, fmt.Sprintf("dnsaddr=/ip4/%s/tcp/9100/p2p/%s", b.Machine.Addrs[0], b.Relay.PeerID))
		}
	}
	if len(values) == 0 {
		return scriptNobody
	}
	var listed struct{ Result []struct{ ID string } }
	if !s.call(ctx, http.MethodGet, "?type=TXT&name="+entry, nil, &listed) {
		return scriptRefused
	}
	for _, r := range listed.Result {
		if !s.call(ctx, http.MethodDelete, "/"+r.ID, nil, nil) {
			return scriptRefused
		}
	}
	for _, v := range values {
		if !s.call(ctx, http.MethodPost, "", map[string]any{"type": "TXT", "name": entry, "content": v, "ttl": 300}, nil) {
			return scriptRefused
		}
	}
	return scriptDone
}

// call makes one request and reports whether it succeeded.
func (s script) call(ctx context.Context, method, rest string, form, into any) bool {
	var body io.Reader
	if form != nil {
		text, err := json.Marshal(form)
		if err != nil {
			return false
		}
		body = bytes.NewReader(text)
	}
	url := strings.Join([]string{"http://127.0.0.1:1", cftest.BasePath, "/zones/", s.rig.ZoneID(apex), "/dns_records", rest}, "")
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return false
	}
	req.Header.Set("Authorization", "Bearer "+cftest.DefaultToken)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := direct{s.rig.Handler()}.RoundTrip(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode < http.StatusBadRequest && (into == nil || json.NewDecoder(resp.Body).Decode(into) == nil)
}
