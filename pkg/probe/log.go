package probe

import (
	"log/slog"

	"github.com/libp2p/go-libp2p/gologshim"
)

// LogTo sends what go-libp2p itself logs in this process to h. Call it before the first
// probe; without it go-libp2p writes to stderr, also about connections that a probe
// closed on purpose.
func LogTo(h slog.Handler) { gologshim.SetDefaultHandler(h) }
