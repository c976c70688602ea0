package host

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"
)

// AuditLine is one line of [AuditLog]: what was written to the box, by whom, and how it went.
type AuditLine struct {
	Time    time.Time `json:"time"`
	Actor   string    `json:"actor"`
	Command string    `json:"command"`
	Plan    string    `json:"plan,omitempty"` // digest
	Did     string    `json:"did"`            // "configure: installed …, restarted"
	Result  string    `json:"result"`         // "ok", or the error
}

// audit notes a write that was tried. That it could not be noted is logged and is no
// error: the write is done, and a full disk must not keep a box from being stopped.
func (b box) audit(ctx context.Context, did string, result error) {
	if b.m.Adopted {
		return // nothing is written to it; what the operator runs there is noted at home
	}
	line, err := b.auditLine(did, result)
	if err == nil {
		err = b.append(ctx, line)
	}
	b.unnoted(ctx, did, err)
}

// auditLine is a line of the log, with its end.
func (b box) auditLine(did string, result error) ([]byte, error) {
	line := AuditLine{Time: time.Now().UTC().Truncate(time.Second), Actor: b.cfg.Actor, Command: b.cfg.Command, Did: did, Result: "ok"}
	if b.cfg.Plan != nil {
		line.Plan = b.cfg.Plan()
	}
	if result != nil {
		line.Result = clean(result.Error(), 500)
	}
	data, err := json.Marshal(line)
	return append(data, '\n'), err
}

func (b box) append(ctx context.Context, line []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), quick)
	defer cancel()
	return b.run.AppendFile(ctx, b.at, b.auditLog(), line, 0o600)
}

// unnoted logs that a line could not be written, if err says so.
func (b box) unnoted(ctx context.Context, did string, err error) {
	if err != nil {
		b.log.WarnContext(ctx, "a write was not noted in the box's audit log",
			slog.String("node", b.m.Node), slog.String("did", did), slog.Any("error", err))
	}
}

// auditLog is out of reach of the relay's user where it has one: what root appends to
// must not be a link of somebody else's.
func (b box) auditLog() string {
	if b.cfg.System != nil {
		return SystemAudit
	}
	return b.own(AuditLog)
}
