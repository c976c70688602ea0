package local

import "time"

// SetPatience shortens how long Apply waits for the server.
func SetPatience(z *Zone, d time.Duration) { z.patience = d }
