package rfc2136_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/zone/rfc2136"
	"github.com/relayfleet/fleetctl/pkg/zone/rfc2136/rfctest"
)

const otherSecret = "YW5vdGhlci1zZWNyZXQtb2YtdGhlLXN1aXRlLTEyMzQ1Ng=="

func hint(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

func TestZone_ErrorSaysWhatToDo(t *testing.T) {
	code := func(rcode int) func(*rfctest.Server, *rfc2136.Config) {
		return func(s *rfctest.Server, _ *rfc2136.Config) {
			s.Fail(func(int) rfctest.Fault { return rfctest.Fault{Rcode: rcode} })
		}
	}
	for what, c := range map[string]struct {
		arrange func(*rfctest.Server, *rfc2136.Config)
		is      error
		says    string
		hint    string
	}{
		"key that the server does not know": {func(_ *rfctest.Server, c *rfc2136.Config) { c.KeyName = "stranger" }, dnsaddr.ErrAuth, `key "stranger"`, "key_name"},
		"other secret":                      {func(_ *rfctest.Server, c *rfc2136.Config) { c.Secret = given(otherSecret) }, dnsaddr.ErrAuth, "BADSIG", "secret"},
		"clock":                             {func(s *rfctest.Server, _ *rfc2136.Config) { s.SetClock(time.Hour) }, dnsaddr.ErrAuth, "BADTIME", "clocks"},
		"secret that is not base64":         {func(_ *rfctest.Server, c *rfc2136.Config) { c.Secret = given("hunter2!") }, dnsaddr.ErrAuth, "the test is not base64", "tsig-keygen"},
		"refused":                           {code(dns.RcodeRefused), dnsaddr.ErrAuth, "REFUSED", "update-policy { grant fleet zonesub TXT; }"},
		"not allowed":                       {code(dns.RcodeNotAuth), dnsaddr.ErrAuth, "NOTAUTH", "primary"},
		"other zone":                        {code(dns.RcodeNotZone), nil, "NOTZONE", "dns.rfc2136.zone"},
		"no updates":                        {code(dns.RcodeNotImplemented), nil, "NOTIMP", "NSD"},
		"server failure":                    {code(dns.RcodeServerFailure), nil, "SERVFAIL", "log"},
		"too many records":                  {func(s *rfctest.Server, _ *rfc2136.Config) { s.MaxRecords(0); s.MaxRecords(1) }, nil, "SERVFAIL", "max-records-per-type"},
		"resolver":                          {func(s *rfctest.Server, _ *rfc2136.Config) { s.RefuseTransfers(true); s.WithoutAuthority() }, nil, "without authority", "primary"},
		"alias, by query": {func(s *rfctest.Server, _ *rfc2136.Config) {
			s.RefuseTransfers(true)
			s.Put(t, name+". 60 CNAME elsewhere.test.")
		}, nil, "alias (CNAME) of elsewhere.test", "delete the CNAME"},
		"alias, by transfer": {func(s *rfctest.Server, _ *rfc2136.Config) { s.Put(t, name+". 60 CNAME elsewhere.test.") }, nil, "alias (CNAME) of elsewhere.test", "delete the CNAME"},
		"delegated domain":   {func(s *rfctest.Server, _ *rfc2136.Config) { s.Put(t, domain+". 60 NS ns.elsewhere.test.") }, nil, "delegated", domain},
		"nobody there":       {func(_ *rfctest.Server, c *rfc2136.Config) { c.Server = closedPort(t) }, nil, "cannot be reached", "dns.rfc2136.server"},
	} {
		t.Run(what, func(t *testing.T) {
			s := rfctest.Start(t, apex)
			cfg := config(s)
			var log bytes.Buffer
			cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			c.arrange(s, &cfg)
			err := open(t, cfg).Apply(t.Context(), name, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1"), relay("192.0.2.2")}})
			if err == nil {
				t.Fatal("got no error")
			}
			if is := errors.Is(err, dnsaddr.ErrAuth); is != errors.Is(c.is, dnsaddr.ErrAuth) {
				t.Errorf("%v: is ErrAuth: got %t, want %t", err, is, !is)
			}
			if !strings.Contains(err.Error(), c.says) || !strings.Contains(hint(err), c.hint) {
				t.Errorf("got %q and the hint %q; want them to say %q and %q", err, hint(err), c.says, c.hint)
			}
			for _, text := range []string{rfctest.Secret, otherSecret, "hunter2"} {
				if strings.Contains(err.Error()+hint(err)+log.String(), text) {
					t.Errorf("the secret was told: %v, log %s", err, log.String())
				}
			}
			if got := s.TXT(name); len(got) != 0 {
				t.Errorf("got %q, want nothing written", got)
			}
		})
	}
}

// closedPort is one on which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestZone_SecretThatCannotBeHadIsErrAuthWithItsSource(t *testing.T) {
	cfg := config(rfctest.Start(t, apex))
	cfg.Secret = func(context.Context) (string, string, error) { return "", "FILE", errors.New("from FILE: not set") }
	_, err := open(t, cfg).Records(t.Context(), name)
	if !errors.Is(err, dnsaddr.ErrAuth) || !strings.Contains(err.Error(), "from FILE") || !strings.Contains(hint(err), "RFC2136_TSIG_SECRET") {
		t.Errorf("got %v with the hint %q, want the source and the variable", err, hint(err))
	}
}

// An answer that somebody made who does not have the key.
func TestZone_AnswerOfAnotherKeyIsNotBelieved(t *testing.T) {
	s := rfctest.Start(t, apex)
	s.Put(t, line(relay("192.0.2.1")))
	for what, arrange := range map[string]func(m *dns.Msg, t *dns.TSIG){
		"unsigned":     func(*dns.Msg, *dns.TSIG) {},
		"other secret": func(m *dns.Msg, t *dns.TSIG) { m.SetTsig(t.Hdr.Name, t.Algorithm, 300, time.Now().Unix()) },
		"other key":    func(m *dns.Msg, t *dns.TSIG) { m.SetTsig("other.", t.Algorithm, 300, time.Now().Unix()) },
	} {
		t.Run(what, func(t *testing.T) {
			cfg := config(s)
			cfg.Server = impostor(t, arrange)
			got, err := open(t, cfg).Records(t.Context(), name)
			if !errors.Is(err, dnsaddr.ErrAuth) || !strings.Contains(err.Error(), "not believed") {
				t.Errorf("got %v, %v; want an answer that is not believed", got, err)
			}
		})
	}
}

// impostor answers everything by TCP with an empty zone, signed as arrange does it with
// a secret that is not ours.
func impostor(t *testing.T, arrange func(*dns.Msg, *dns.TSIG)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{Listener: l, TsigSecret: map[string]string{"fleet.": otherSecret, "other.": otherSecret}}
	srv.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		soa, _ := dns.NewRR("zone.test. 60 SOA ns.zone.test. h.zone.test. 1 1 1 1 1")
		m.Answer = []dns.RR{soa, soa}
		arrange(m, q.IsTsig())
		_ = w.WriteMsg(m)
	})
	started, ended := make(chan struct{}), make(chan struct{})
	srv.NotifyStartedFunc = func() { close(started) }
	go func() {
		defer close(ended)
		_ = srv.ActivateAndServe()
	}()
	<-started
	t.Cleanup(func() {
		_ = srv.Shutdown()
		<-ended
	})
	return l.Addr().String()
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	for what, c := range map[string]struct {
		change func(*rfc2136.Config)
		says   string
	}{
		"MD5":               {func(c *rfc2136.Config) { c.KeyAlgorithm = "hmac-md5.sig-alg.reg.int." }, "accepted are hmac-sha256"},
		"SHA-1":             {func(c *rfc2136.Config) { c.KeyAlgorithm = "hmac-sha1" }, "accepted are hmac-sha256"},
		"no port":           {func(c *rfc2136.Config) { c.Server = "192.0.2.1" }, "host:port"},
		"other zone":        {func(c *rfc2136.Config) { c.Zone = "elsewhere.test" }, "not in the zone"},
		"end of a label":    {func(c *rfc2136.Config) { c.Zone = "one.test" }, "not in the zone"},
		"no key":            {func(c *rfc2136.Config) { c.KeyName = "" }, "TSIG key"},
		"no domain":         {func(c *rfc2136.Config) { c.Domain = "" }, "domain"},
		"domain with a dot": {func(c *rfc2136.Config) { c.Domain = "p2p.zone.test." }, "domain"},
	} {
		cfg := rfc2136.Config{Domain: domain, Zone: apex, Server: "192.0.2.1:53", KeyName: "fleet", Secret: given("")}
		c.change(&cfg)
		if _, err := rfc2136.New(cfg); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want an error that says %q", what, err, c.says)
		}
	}
}

func TestZone_EveryAlgorithmSigns(t *testing.T) {
	s := rfctest.Start(t, apex)
	for i, algorithm := range rfc2136.Algorithms() {
		cfg := config(s)
		cfg.KeyAlgorithm = algorithm
		apply(t, open(t, cfg), dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2." + string(rune('1'+i)))}})
	}
	if got := s.TXT(name); len(got) != len(rfc2136.Algorithms()) {
		t.Errorf("got %q, want one record for each of %v", got, rfc2136.Algorithms())
	}
}

func TestZone_StatusSaysWhyItIsNotServed(t *testing.T) {
	s := rfctest.Start(t, "p2p.zone.test") // which our configuration has as zone.test
	if got := open(t, config(s)).Status(t.Context()); got.Serving || got.Kind != "rfc2136" || got.Server != s.Addr() || !strings.Contains(got.Reason, "in the zone p2p.zone.test") {
		t.Errorf("got %+v, want the zone that the server has", got)
	}
}
