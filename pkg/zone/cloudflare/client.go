package cloudflare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"

	"github.com/cloudflare/cloudflare-go/v7/dns"
	"github.com/cloudflare/cloudflare-go/v7/option"
	"github.com/cloudflare/cloudflare-go/v7/zones"

	"github.com/relayfleet/fleetctl/pkg/apiwire"
)

// client is the part of the API that a fleet needs. It reads answers into forms of its
// own, which hold no more than is used.
type client struct {
	http  *http.Client
	trans *apiwire.Transport
	base  *url.URL
	dns   *dns.RecordService
	usage *dns.UsageZoneService
	zones *zones.ZoneService
}

func newClient(cfg Config, base *url.URL) *client {
	c := &client{trans: newTransport(cfg, base), base: base}
	c.http = &http.Client{
		Transport: c.trans,
		// The token goes to the API alone, wherever that sends us.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	opts := []option.RequestOption{option.WithBaseURL(base.String()), option.WithHTTPClient(c), option.WithMaxRetries(0)}
	c.dns, c.usage, c.zones = dns.NewRecordService(opts...), dns.NewUsageZoneService(opts...), zones.NewZoneService(opts...)
	return c
}

// Do sends a request of the SDK. Whatever is not a success of the API's form is an error.
func (c *client) Do(r *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(r)
	if err != nil {
		var around *url.Error
		if errors.As(err, &around) {
			return nil, around.Err // without the address, which says nothing to the operator
		}
		return nil, err
	}
	body, ok := resp.Body.(answer)
	if !ok {
		return nil, errors.New("the answer was not read to its end")
	}
	var form struct {
		Success *bool `json:"success"`
	}
	err = json.Unmarshal(body.Text, &form)
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299, err == nil && form.Success != nil && !*form.Success:
		return nil, c.meaning(refused(resp, body.Text))
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errUnread, err)
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		resp.Header.Set("Content-Type", "application/json")
	}
	return resp, nil
}

// errUnread: an answer is not of the form that is published.
var errUnread = errors.New("the API's answer cannot be read")

// unread is the error of an answer whose parts are not what they should be, and every
// other error as it is.
func unread(err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Errorf("%w: %s in place of %s at %q", errUnread, kind.Value, kind.Type, kind.Field)
	}
	return err
}

// envelope is around every answer.
type envelope[T any] struct {
	Result T `json:"result"`
	Info   struct {
		TotalCount *int `json:"total_count"`
	} `json:"result_info"`
}

// home is a zone of the account.
type home struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Status      string   `json:"status"` // "active", "pending", "initializing", "moved"
	Type        string   `json:"type"`   // "full", "partial", "secondary"
	NameServers []string `json:"name_servers"`
	Permissions []string `json:"permissions"`
}

// zonesNamed lists the zones of a name.
func (c *client) zonesNamed(ctx context.Context, name string) ([]home, error) {
	var p zones.ZoneListParams
	p.Name.Value, p.Name.Present = name, true
	p.PerPage.Value, p.PerPage.Present = 50, true
	var got envelope[[]home]
	_, err := c.zones.List(ctx, p, option.WithResponseBodyInto(&got))
	return got.Result, unread(err)
}

// zone reads a zone.
func (c *client) zone(ctx context.Context, id string) (home, error) {
	var p zones.ZoneGetParams
	p.ZoneID.Value, p.ZoneID.Present = id, true
	var got envelope[home]
	_, err := c.zones.Get(ctx, p, option.WithResponseBodyInto(&got))
	return got.Result, unread(err)
}

// Types of records that make a difference here.
const (
	typeTXT   = "TXT"
	typeCNAME = "CNAME"
	typeNS    = "NS"
)

// record is a record as the API has it.
type record struct {
	ID      string  `json:"id"`
	Name    string  `json:"name"`
	Type    string  `json:"type"`
	Content string  `json:"content"`
	TTL     float64 `json:"ttl"`
	Comment string  `json:"comment"` // null where there is none
}

// records reads one page, from 1, of the records of any type whose names begin with prefix
// and end with suffix, and how many there are on all pages; -1 if the API does not say.
func (c *client) records(ctx context.Context, zoneID, prefix, suffix string, page, perPage int) ([]record, int, error) {
	var p dns.RecordListParams
	p.ZoneID.Value, p.ZoneID.Present = zoneID, true
	p.Name.Present = true
	p.Name.Value.Startswith.Value, p.Name.Value.Startswith.Present = prefix, true
	p.Name.Value.Endswith.Value, p.Name.Value.Endswith.Present = suffix, true
	p.Match.Value, p.Match.Present = dns.RecordListParamsMatchAll, true
	p.Order.Value, p.Order.Present = dns.RecordListParamsOrderContent, true // the same on each page
	p.Page.Value, p.Page.Present = float64(page), true
	p.PerPage.Value, p.PerPage.Present = float64(perPage), true
	var got envelope[[]record]
	if _, err := c.dns.List(ctx, p, option.WithResponseBodyInto(&got)); err != nil {
		return nil, 0, unread(err)
	}
	total := -1
	if got.Info.TotalCount != nil {
		total = *got.Info.TotalCount
	}
	return got.Result, total, nil
}

// batch carries out operations as one transaction, and returns the records that it made
// and changed, as far as the answer says.
func (c *client) batch(ctx context.Context, zoneID string, ops []op) (posted []record, err error) {
	var p dns.RecordBatchParams
	p.ZoneID.Value, p.ZoneID.Present = zoneID, true
	for _, o := range ops {
		switch o.do {
		case doPost:
			p.Posts.Value, p.Posts.Present = append(p.Posts.Value, postOf(o)), true
		case doPatch:
			p.Patches.Value, p.Patches.Present = append(p.Patches.Value, patchOf(o)), true
		case doDelete:
			var d dns.RecordBatchParamsDelete
			d.ID.Value, d.ID.Present = o.ID, true
			p.Deletes.Value, p.Deletes.Present = append(p.Deletes.Value, d), true
		}
	}
	var got envelope[struct {
		Posts []record `json:"posts"`
	}]
	_, err = c.dns.Batch(ctx, p, option.WithResponseBodyInto(&got))
	return got.Result.Posts, unread(err)
}

func postOf(o op) dns.TXTRecordParam {
	t := settingsOf(o)
	t.Comment.Present = o.Comment != ""
	t.Name.Value, t.Name.Present = o.Name, true
	t.Content.Value, t.Content.Present = o.content, true
	return t
}

func patchOf(o op) dns.BatchPatchTXTRecordParam {
	p := dns.BatchPatchTXTRecordParam{TXTRecordParam: settingsOf(o)}
	p.ID.Value, p.ID.Present = o.ID, true
	p.Content.Value, p.Content.Present = o.content, o.content != ""
	return p
}

func settingsOf(o op) dns.TXTRecordParam {
	var t dns.TXTRecordParam
	t.Type.Value, t.Type.Present = dns.TXTRecordTypeTXT, true
	t.TTL.Value, t.TTL.Present = dns.TTL(o.TTL.Seconds()), true
	t.Comment.Value, t.Comment.Present = o.Comment, true
	return t
}

// quota reads how many records the zone has and may have; most is -1 if that is not the
// zone's to say.
func (c *client) quota(ctx context.Context, zoneID string) (used, most int, err error) {
	var p dns.UsageZoneGetParams
	p.ZoneID.Value, p.ZoneID.Present = zoneID, true
	var got envelope[struct {
		Quota *int `json:"record_quota"`
		Usage int  `json:"record_usage"`
	}]
	if _, err := c.usage.Get(ctx, p, option.WithResponseBodyInto(&got)); err != nil {
		return 0, 0, unread(err)
	}
	if got.Result.Quota == nil {
		return got.Result.Usage, -1, nil
	}
	return got.Result.Usage, *got.Result.Quota, nil
}

// verify asks what becomes of the token: "active", "disabled" or "expired". Tokens that
// belong to an account and not to a user are unknown here.
func (c *client) verify(ctx context.Context) (status, expires string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base.JoinPath("user/tokens/verify").String(), nil)
	if err != nil {
		return "", "", err
	}
	resp, err := c.Do(r)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	var got envelope[struct {
		Status  string `json:"status"`
		Expires string `json:"expires_on"`
	}]
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		return "", "", unread(err)
	}
	return clean(got.Result.Status), clean(got.Result.Expires), nil
}
