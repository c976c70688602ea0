// Package resolve asks DNS servers as the clients of a fleet do, and tells what they said.
//
// A [Client] puts one question to one [Server], by UDP and, where that answer does not
// fit, by TCP; or by TCP, TLS (DoT) or HTTPS (DoH) alone. The [Answer] is what came: the
// records with the time they may still be kept, whether the server speaks for the name
// itself, whether it says that it checked signatures, how long the answer was and which
// way it took. [Client.Walk] follows records that point to other names. [Client.Authorities]
// finds the servers that speak for a name.
//
// What an answer holds was written by anybody: texts are bounded by the size of a message
// and hold any bytes. Nothing here is printed.
package resolve

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// EDNS is the size, in bytes, of answers that a client says it takes by UDP.
const EDNS = 1232

// Defaults of a [Client].
const (
	packetTimeout = 2 * time.Second // for one try by UDP
	streamTimeout = 5 * time.Second // for a question by TCP, TLS or HTTPS
	packetTries   = 3               // by UDP, where packets are lost
)

// Type of the records that are asked for.
type Type uint16

// The types that a fleet needs.
const (
	TXT   = Type(dns.TypeTXT)
	SOA   = Type(dns.TypeSOA)
	NS    = Type(dns.TypeNS)
	CNAME = Type(dns.TypeCNAME)
	A     = Type(dns.TypeA)
	AAAA  = Type(dns.TypeAAAA)
)

// String is the type as zone files have it: "TXT".
func (t Type) String() string { return dns.Type(t).String() }

// ErrNoAnswer is wrapped by every error of [Client.Ask]: the server did not answer, or not
// with an answer to the question. What it would have said is unknown.
var ErrNoAnswer = errors.New("no answer")

// Client asks DNS servers. The zero value is usable; a Client is safe for concurrent use
// and holds nothing open between questions.
type Client struct {
	Packet  time.Duration  // for one try by UDP, three are made; 0 means 2 s
	Stream  time.Duration  // for a question by TCP, TLS or HTTPS; 0 means 5 s
	RootCAs *x509.CertPool // that vouch for servers by TLS and HTTPS; nil means the system's
	Get     bool           // DoH by GET in place of POST
}

// Question is what is asked of a server. The zero Type is TXT.
type Question struct {
	Name      string // with or without the final dot
	Type      Type
	NoEDNS    bool // as clients that take 512 bytes by UDP
	DNSSEC    bool // wants signatures with the answer
	Unchecked bool // takes what a resolver did not check, or whose signatures are wrong (CD)
	Iterative bool // asks the server for what it knows itself, as one asks an authoritative one
}

// Record is one record of an answer.
type Record struct {
	Name    string        // in lower case, without the final dot
	Value   string        // TXT: its strings as one; SOA: the primary server; others: the name or address that it holds
	Strings []string      // of a TXT record, as they came; nil for others
	Serial  uint32        // of a SOA record
	Mailbox string        // likewise
	TTL     time.Duration // that it may still be kept
}

// Answer is what a server said.
type Answer struct {
	Server    Server
	Transport Transport     // that it came by: UDP, TCP, TLS or HTTPS
	Rcode     string        // "NOERROR", "NXDOMAIN", "SERVFAIL", …
	Records   []Record      // of the type that was asked for, at the name or where its aliases lead; as they came
	Aliases   []string      // where CNAME records lead from the name, in order
	Nothing   time.Duration // how long it may be kept that there are no records, 0 if there are or it was not said

	Authoritative bool // the server speaks for the name (AA)
	Authenticated bool // the server says that it checked the signatures (AD); anybody on the way may have said so
	Signed        bool // signatures came with the records; only a question with DNSSEC brings them
	Truncated     bool // the answer by UDP was cut off

	Bytes    int           // of the answer
	UDPBytes int           // of the answer by UDP that was cut off, 0 if none was
	Queries  int           // that were sent
	Took     time.Duration // all of them
}

// Err is nil for an answer that says what stands at the name, be it nothing.
func (a Answer) Err() error {
	if a.Rcode == rcodeText(dns.RcodeSuccess) || a.Rcode == rcodeText(dns.RcodeNameError) {
		return nil
	}
	return fmt.Errorf("%s answers %s", a.Server, a.Rcode)
}

// NoName reports whether the server says that the name does not exist, which is more than
// that it holds no text.
func (a Answer) NoName() bool { return a.Rcode == rcodeText(dns.RcodeNameError) }

// Values are the values of the records, sorted; never nil.
func (a Answer) Values() []string {
	values := make([]string, 0, len(a.Records))
	for _, r := range a.Records {
		values = append(values, r.Value)
	}
	slices.Sort(values)
	return values
}

// TTL is the shortest TTL of the records, 0 if there are none.
func (a Answer) TTL() time.Duration {
	var ttl time.Duration
	for i, r := range a.Records {
		if i == 0 || r.TTL < ttl {
			ttl = r.TTL
		}
	}
	return ttl
}

// Values asks one server (host:port) for the TXT records of name by UDP, and by TCP if the
// answer does not fit. It returns each record as one string, sorted, and the shortest TTL.
// A name without records, or that does not exist, has no values and no error.
func Values(ctx context.Context, hostPort, name string) ([]string, time.Duration, error) {
	a, err := new(Client).Ask(ctx, Server{Transport: Plain, Addr: hostPort}, Question{Name: name})
	if err == nil {
		err = a.Err()
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	return a.Values(), a.TTL(), nil
}

// rcodeText is a response code as people know it.
func rcodeText(code int) string {
	if text, ok := dns.RcodeToString[code]; ok {
		return text
	}
	return fmt.Sprintf("RCODE%d", code)
}

// bare is a name as this package returns it.
func bare(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
