package rfc2136

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// plain is a name without its final dot.
func plain(name string) string { return strings.TrimSuffix(name, ".") }

// fudge is by how much the clocks of signer and reader may differ, in seconds.
const fudge = 300

// key signs messages and knows the signatures of answers. Its secret is never printed.
type key struct {
	name, algorithm string // canonical
	from            string // where the secret comes from, in words
	secret          string // base64
}

// openKey reads the secret, once it was read well never again.
func (z *Zone) openKey(ctx context.Context) (*key, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.key != nil {
		return z.key, nil
	}
	const hint = "set RFC2136_TSIG_SECRET to the secret of the TSIG key, or say with dns.rfc2136.key where it is"
	secret, from, err := z.cfg.Secret(ctx)
	if err != nil {
		return nil, fleet.WithHint(fmt.Errorf("%w: TSIG secret: %w", dnsaddr.ErrAuth, err), hint)
	}
	if raw, err := base64.StdEncoding.DecodeString(secret); err != nil || len(raw) == 0 {
		return nil, fleet.WithHint(fmt.Errorf("%w: the TSIG secret from %s is not base64", dnsaddr.ErrAuth, from),
			"use what stands between the quotes after 'secret' in the key's file; tsig-keygen and keymgr -t print it")
	}
	z.key = &key{name: z.keyName, algorithm: z.algorithm, from: from, secret: secret}
	return z.key, nil
}

// sign packs a message with its signature.
func (k *key) sign(m *dns.Msg) (wire []byte, mac string, err error) {
	m.SetTsig(k.name, k.algorithm, fudge, time.Now().Unix())
	wire, mac, err = dns.TsigGenerate(m, k.secret, "", false)
	if err != nil {
		return nil, "", fmt.Errorf("sign message: %w", err)
	}
	return wire, mac, nil
}

// verify reads the signature of an answer to the message with that MAC, or in a stream of
// answers, of the one before. An unsigned answer is accepted only if it is an error: a
// server that knows no key cannot sign.
func (k *key) verify(wire []byte, m *dns.Msg, before string, stream bool) (mac string, err error) {
	t := m.IsTsig()
	if t == nil {
		if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
			return "", nil
		}
		return "", k.unbelievable("it is not signed")
	}
	if t.Error != dns.RcodeSuccess {
		return "", k.refused(t)
	}
	if dns.CanonicalName(t.Hdr.Name) != k.name || dns.CanonicalName(t.Algorithm) != k.algorithm {
		return "", k.unbelievable("it is signed with another key")
	}
	err = dns.TsigVerify(append([]byte(nil), wire...), k.secret, before, stream)
	switch {
	case errors.Is(err, dns.ErrAuth) && m.Rcode == dns.RcodeNotAuth:
		return "", nil // which miekg/dns does not verify; it is an error anyway
	case errors.Is(err, dns.ErrTime):
		return "", fleet.WithHint(fmt.Errorf("%w: the answer was signed at %s by the server's clock, and it is %s here",
			dnsaddr.ErrAuth, stamp(t.TimeSigned), stamp(uint64(time.Now().Unix()))), clockHint)
	case err != nil:
		return "", k.unbelievable("its signature is wrong")
	}
	return t.MAC, nil
}

const clockHint = "set both clocks right: signatures are good for five minutes"

func stamp(seconds uint64) string {
	return time.Unix(int64(min(seconds, 1<<40)), 0).UTC().Format(time.RFC3339)
}

// unbelievable is of an answer that may be anybody's.
func (k *key) unbelievable(why string) error {
	return fleet.WithHint(fmt.Errorf("%w: the answer is not believed: %s", dnsaddr.ErrAuth, why),
		fmt.Sprintf("see whether dns.rfc2136.server is the primary itself, and whether key %q is the same there", plain(k.name)))
}

// refused is what a server says of our signature.
func (k *key) refused(t *dns.TSIG) error {
	as := fmt.Sprintf("key %q (%s, secret from %s)", plain(k.name), plain(k.algorithm), k.from)
	switch t.Error {
	case dns.RcodeBadKey:
		return fleet.WithHint(fmt.Errorf("%w: the server does not know %s, or does not let it do that: BADKEY", dnsaddr.ErrAuth, as),
			"compare dns.rfc2136.key_name and key_algorithm with the key in the server's configuration, and see what it may do there")
	case dns.RcodeBadSig:
		return fleet.WithHint(fmt.Errorf("%w: the server has another secret for %s: BADSIG", dnsaddr.ErrAuth, as),
			"copy the key's secret from the server's configuration again")
	case dns.RcodeBadTime:
		text := fmt.Sprintf("it is %s here", stamp(uint64(time.Now().Unix())))
		if theirs, ok := otherTime(t); ok {
			text = fmt.Sprintf("it is %s there and %s here", stamp(theirs), stamp(uint64(time.Now().Unix())))
		}
		return fleet.WithHint(fmt.Errorf("%w: the server's clock differs from ours: %s: BADTIME", dnsaddr.ErrAuth, text), clockHint)
	}
	return fmt.Errorf("%w: the server refuses the signature of %s with error %d", dnsaddr.ErrAuth, as, t.Error)
}

// otherTime reads the server's clock from a BADTIME answer.
func otherTime(t *dns.TSIG) (seconds uint64, ok bool) {
	raw, err := hex.DecodeString(t.OtherData)
	if err != nil || len(raw) != 6 {
		return 0, false
	}
	for _, b := range raw {
		seconds = seconds<<8 | uint64(b)
	}
	return seconds, true
}
