package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/relayfleet/fleetctl/pkg/monitoring"
)

const (
	scrapeTimeout = 9 * time.Second // below the 10 seconds that Prometheus waits
	scrapeLimit   = 16 << 20        // bytes of one answer
)

// group is one entry of an answer to Prometheus, whose form is not ours.
type group struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// serveDiscovery lists the relays as targets of a Prometheus. Each is read through us: its
// own port is open to nobody. One that is missing, and an old one, have no series to read:
// as targets they would be down for ever.
func (s *Server) serveDiscovery(w http.ResponseWriter, r *http.Request) {
	f := s.now().fleet
	scheme := "http"
	if s.cfg.Certificate != nil {
		scheme = "https"
	}
	groups, told := []group{}, make(map[string]bool)
	for _, relay := range f.Relays {
		if told[relay.Node] || relay.State == "missing" || relay.old() {
			continue
		}
		told[relay.Node] = true
		groups = append(groups, group{Targets: []string{r.Host}, Labels: map[string]string{
			"__scheme__": scheme, "__metrics_path__": monitoring.PathScrape + relay.Node, "instance": relay.Node,
			monitoring.LabelFleet: f.Name, monitoring.LabelNode: relay.Node, monitoring.LabelRegion: relay.Region,
		}})
	}
	send(w, http.StatusOK, groups)
}

// serveScrape passes on what a relay counts. A relay that does not answer is a failed
// scrape, so that Prometheus says up 0.
func (s *Server) serveScrape(w http.ResponseWriter, r *http.Request) {
	node := r.PathValue("node")
	if !slices.ContainsFunc(s.now().fleet.Relays, func(one Relay) bool { return one.Node == node }) {
		fail(w, http.StatusNotFound, ErrNoNode.Error(), "")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), scrapeTimeout)
	defer cancel()
	text, err := s.read(ctx, node)
	switch {
	case errors.Is(err, ErrNoNode):
		fail(w, http.StatusNotFound, err.Error(), "")
	case err != nil:
		fail(w, http.StatusBadGateway, err.Error(), "see 'fleetctl doctor'")
	default:
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(text) //nolint:gosec // plain text, which nosniff makes browsers believe
	}
}

// read reads a relay's series whole: half of them would be a relay that lost the others.
func (s *Server) read(ctx context.Context, node string) ([]byte, error) {
	body, err := s.cfg.Source.Scrape(ctx, node)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	text, err := io.ReadAll(io.LimitReader(body, scrapeLimit+1))
	if err == nil && len(text) > scrapeLimit {
		err = errors.New(node + ": its series are larger than allowed")
	}
	return text, err
}
