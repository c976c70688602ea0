package cloudflare

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// Codes of the API that have a meaning here.
const (
	codeMalformed    = 6003 // an Authorization header that cannot be read
	codeNoRoute      = 7003
	codeUnauthorized = 9109
	codeAuth         = 10000
	codeRate         = 10300
	codeMissing      = 81044 // the record does not exist
	codeQuota        = 81045
	codeHostTaken    = 81053 // records of other types stand at the name
	codeCNAME        = 81054
	codeNS           = 81056
	codeExists       = 81057
	codeIdentical    = 81058
)

// Hints that several errors give.
const (
	zoneIDHint = "copy the zone's ID, 32 hex digits, from its overview page at Cloudflare into dns.cloudflare.zone_id or CLOUDFLARE_ZONE_ID"
	tokenHint  = "make a token at Cloudflare with the permissions Zone.DNS:Edit and Zone.Zone:Read for the zone, and put it where the old one is"
	takenHint  = "remove the CNAME or the other records at that name at Cloudflare, or choose another dns.domain"
	againHint  = "run the same command again: it plans from what is there now"
)

// said is one error of an answer, with what led to it.
type said struct {
	Code    int64  `json:"code"`
	Message string `json:"message"`
	Chain   []said `json:"error_chain"`
}

// String is an error and its chain: "1004 DNS Validation Error (9300 too many tags)".
func (s said) String() string { return s.text(3) }

func (s said) text(depth int) string {
	text := strings.TrimSpace(strconv.FormatInt(s.Code, 10) + " " + clean(s.Message))
	if len(s.Chain) == 0 || depth == 0 {
		return text
	}
	parts := make([]string, 0, len(s.Chain))
	for _, c := range s.Chain[:min(len(s.Chain), mostErrors)] {
		parts = append(parts, c.text(depth-1))
	}
	return text + " (" + strings.Join(parts, "; ") + ")"
}

func (s said) has(codes []int64) bool {
	return slices.Contains(codes, s.Code) || slices.ContainsFunc(s.Chain, func(c said) bool { return c.has(codes) })
}

// mostErrors is how many errors of one answer are printed.
const mostErrors = 5

// apiError is an answer that says no.
type apiError struct {
	status int
	said   []said
	page   string // what it says instead, if it is not of the API's form
	ray    string // for Cloudflare's support
}

func (e *apiError) Error() string {
	parts := make([]string, 0, len(e.said))
	for _, s := range e.said[:min(len(e.said), mostErrors)] {
		parts = append(parts, s.String())
	}
	if e.page != "" {
		parts = append(parts, e.page)
	}
	text := fmt.Sprintf("the API answers %d", e.status)
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, "; ")
	}
	if e.ray != "" {
		text += " (cf-ray " + e.ray + ")"
	}
	return text
}

// has reports whether err is an answer with one of the codes, also within a chain.
func has(err error, codes ...int64) bool {
	var e *apiError
	return errors.As(err, &e) && slices.ContainsFunc(e.said, func(s said) bool { return s.has(codes) })
}

// doubtful reports whether a write that failed may have had its effect all the same.
func doubtful(err error) bool {
	var never *unsent
	var e *apiError
	switch {
	case err == nil, errors.As(err, &never):
		return false
	case errors.As(err, &e):
		return e.status >= 500
	}
	return true // no answer, or one that cannot be read
}

// overtaken reports whether a write failed because of what somebody else wrote, or an
// earlier try of ours.
func overtaken(err error) bool { return has(err, codeMissing, codeExists, codeIdentical) }

// refused reads an answer that says no.
func refused(resp *http.Response, body []byte) *apiError {
	e := &apiError{status: resp.StatusCode, ray: clean(resp.Header.Get("Cf-Ray"))}
	var form struct {
		Errors []said `json:"errors"`
	}
	if json.Unmarshal(body, &form) == nil {
		e.said = form.Errors
		return e
	}
	e.page = "not in JSON"
	if text := pageText(body); text != "" {
		e.page += ": " + text
	}
	return e
}

var (
	title = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)
	tags  = regexp.MustCompile(`(?s)<[^>]*>`)
)

// pageText is the title of an HTML page, or the beginning of what it says.
func pageText(body []byte) string {
	text := body[:min(len(body), 16<<10)]
	if found := title.FindSubmatch(text); found != nil {
		text = found[1]
	}
	return clean(string(tags.ReplaceAll(text, []byte(" "))))
}

// meaning gives an answer that says no its kind and its hint.
func (c *client) meaning(err error) error {
	var e *apiError
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case has(err, codeMalformed):
		return fleet.WithHint(fmt.Errorf("%w: the API token from %s is malformed: %w", dnsaddr.ErrAuth, c.trans.From(), err), wordHint)
	case has(err, codeNoRoute):
		return fleet.WithHint(err, zoneIDHint)
	case has(err, codeAuth, codeUnauthorized), e.status == http.StatusUnauthorized, e.status == http.StatusForbidden:
		return fleet.WithHint(fmt.Errorf("%w: the API token from %s: %w", dnsaddr.ErrAuth, c.trans.From(), err), tokenHint)
	case has(err, codeQuota):
		return full(err)
	case has(err, codeRate), e.status == http.StatusTooManyRequests:
		return fleet.WithHint(fmt.Errorf("%w: %w", dnsaddr.ErrFull, err), "run the same command again in five minutes: it goes on from what is there")
	case has(err, codeHostTaken, codeCNAME, codeNS):
		return fleet.WithHint(err, takenHint)
	}
	return err
}

// full is the error of a zone that takes no more records.
func full(why error) error {
	return fleet.WithHint(fmt.Errorf("%w: %w", dnsaddr.ErrFull, why),
		"remove records that nobody needs from the zone at Cloudflare, or choose a plan with more records")
}

// wordHint is for tokens that cannot be one.
const wordHint = "write the token alone, without quotes, spaces or line breaks"

// noToken is the error of a token that could not be had or cannot be one.
func noToken(why error) error {
	hint := "make a token at Cloudflare with the permissions Zone.DNS:Edit and Zone.Zone:Read for the zone and set CLOUDFLARE_API_TOKEN, or say with dns.cloudflare.token where it is; " + wordHint
	return fleet.WithHint(fmt.Errorf("%w: API token %w", dnsaddr.ErrAuth, why), hint)
}

// checkToken refuses what no token is, before it is sent. The error never shows it.
func checkToken(token, from string) error {
	if i := strings.IndexFunc(token, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~+/=", r)
	}); i < 0 && token != "" {
		return nil
	}
	if strings.ContainsAny(token, "\"'`") {
		return fmt.Errorf("from %s: it holds a quote", from)
	}
	return fmt.Errorf("from %s: it is not one word", from)
}

// mostSaid bounds what others say in an error, in characters.
const mostSaid = 300

// clean makes one printable line of what others say.
func clean(text string) string {
	line := []rune(strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " "))
	if len(line) > mostSaid {
		return string(line[:mostSaid]) + "…"
	}
	return string(line)
}
