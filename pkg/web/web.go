package web

import (
	"crypto/x509"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/relayfleet/fleetctl/pkg/monitoring"
)

//go:embed assets
var assets embed.FS

// Config is what a [Server] works with.
type Config struct {
	Source Source
	// Hosts are the names, without a port, that requests may call us by, beside those of
	// loopback and those in the certificate.
	Hosts []string
	// Token is what requests must carry; "" lets everybody in who reaches us.
	Token string
	// StaleAfter is how old a look may be before the page says so; zero means 30 seconds.
	StaleAfter time.Duration
	// Beat is how often a page that is open hears from us if nothing happens; zero means 5 seconds.
	Beat time.Duration
	// Certificate is the one that is shown now, which a renewal replaces; nil without TLS.
	Certificate func() *x509.Certificate
	Now         func() time.Time
	Log         *slog.Logger // what failed; nil drops it
}

// Server answers requests about one fleet. It is safe for concurrent use.
type Server struct {
	cfg     Config
	page    *template.Template
	shots   shots
	entry   entry
	metrics http.Handler
	open    chan struct{} // a place for each page that follows
}

// followers is how many pages may follow at once.
const followers = 100

// New makes a server.
func New(cfg Config) (*Server, error) {
	if cfg.Source == nil || cfg.Now == nil {
		return nil, errors.New("web: Config.Source and Config.Now are required")
	}
	if cfg.StaleAfter <= 0 {
		cfg.StaleAfter = 30 * time.Second
	}
	if cfg.Beat <= 0 {
		cfg.Beat = 5 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	page, err := parsePage()
	if err != nil {
		return nil, err
	}
	entry, err := newEntry(cfg.Token, cfg.Certificate != nil, cfg.Now)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, page: page, entry: entry, open: make(chan struct{}, followers)}
	s.shots.make = s.develop
	if s.shots.boot, err = nonce(); err != nil {
		return nil, err
	}
	s.metrics = s.prometheus()
	return s, nil
}

// Handler answers everything.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.servePage)
	mux.HandleFunc("GET /assets/{name}", s.serveAsset)
	mux.HandleFunc("GET /live", s.serveLive)
	mux.HandleFunc("GET "+monitoring.PathMetrics, s.serveMetrics)
	mux.HandleFunc("GET "+monitoring.PathDiscovery, s.serveDiscovery)
	mux.HandleFunc("GET "+monitoring.PathScrape+"{node}", s.serveScrape)
	s.routeAPI(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "there is nothing here", "")
	})
	return s.guarded(compressed(mux))
}
