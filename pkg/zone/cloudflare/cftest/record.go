package cftest

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Record is a record as the cloud stores it.
type Record struct {
	ID      string
	Name    string // in lower case, without the final dot
	Type    string // A, AAAA, CNAME, MX, NS or TXT
	Content string // as it was posted
	TTL     time.Duration
	Comment string
	Tags    []string

	Proxied  bool
	Priority int // of MX
	Created  time.Time
	Modified time.Time
}

// Auto is the TTL that leaves it to Cloudflare: it answers with five minutes.
const Auto = time.Second

// served is the TTL that a name server answers with.
func (r Record) served() time.Duration {
	if r.TTL == Auto {
		return autoTTL
	}
	return r.TTL
}

// Value is the text that a TXT record holds, its strings put together; of other types it
// is the content.
func (r Record) Value() string {
	if r.Type != "TXT" {
		return r.Content
	}
	all, err := characterStrings(r.Content)
	if err != nil {
		return r.Content
	}
	return strings.Join(all, "")
}

// record never changes: a write replaces it.
type record struct {
	Record
	value string // see Record.Value
	seq   int    // the order in which records came
	noted time.Time
}

// recordBody is a record as it is shown.
type recordBody struct {
	ID                string   `json:"id"`
	Name              string   `json:"name"`
	Type              string   `json:"type"`
	Content           string   `json:"content"`
	Priority          *int     `json:"priority,omitempty"`
	Proxiable         bool     `json:"proxiable"`
	Proxied           bool     `json:"proxied"`
	TTL               int      `json:"ttl"`
	Settings          struct{} `json:"settings"`
	Meta              struct{} `json:"meta"`
	Comment           *string  `json:"comment"` // null where there is none, whatever the description says
	Tags              []string `json:"tags"`
	CreatedOn         string   `json:"created_on"`
	ModifiedOn        string   `json:"modified_on"`
	CommentModifiedOn string   `json:"comment_modified_on,omitempty"`
}

func (r *record) body() recordBody {
	b := recordBody{
		ID: r.ID, Name: r.Name, Type: r.Type, Content: r.Content, Proxiable: proxiable(r.Type), Proxied: r.Proxied,
		TTL: int(r.TTL / time.Second), Tags: append([]string{}, r.Tags...), CreatedOn: stamp(r.Created), ModifiedOn: stamp(r.Modified),
	}
	if r.Type == "MX" {
		b.Priority = &r.Priority
	}
	if r.Comment != "" {
		b.Comment = &r.Comment
		b.CommentModifiedOn = stamp(r.noted)
	}
	return b
}

func proxiable(kind string) bool { return kind == "A" || kind == "AAAA" || kind == "CNAME" }

// form is what a request says of a record; nil is nothing.
type form struct {
	ID       string    `json:"id"` // of batches
	Name     *string   `json:"name"`
	Type     *string   `json:"type"`
	Content  *string   `json:"content"`
	TTL      *float64  `json:"ttl"`
	Comment  *string   `json:"comment"`
	Tags     *[]string `json:"tags"`
	Proxied  *bool     `json:"proxied"`
	Priority *float64  `json:"priority"`
}

// formKeys are the keys that a record of a request may have.
var formKeys = []string{"id", "name", "type", "content", "ttl", "comment", "tags", "proxied", "priority", "settings", "data"}

// onto is r with what the form says of it.
func (f form) onto(r Record, apex string) Record {
	if f.Name != nil {
		r.Name = absolute(*f.Name, apex)
	}
	if f.Type != nil {
		r.Type = strings.ToUpper(*f.Type)
	}
	if f.Content != nil {
		r.Content = *f.Content
	}
	if f.TTL != nil {
		r.TTL = time.Duration(*f.TTL * float64(time.Second))
	}
	if f.Comment != nil {
		r.Comment = *f.Comment
	}
	if f.Tags != nil {
		r.Tags = slices.Clone(*f.Tags)
	}
	if f.Proxied != nil {
		r.Proxied = *f.Proxied
	}
	if f.Priority != nil {
		r.Priority = int(*f.Priority)
	}
	return r
}

// absolute completes a name as Cloudflare does: what does not end in the zone's name is
// below it.
func absolute(name, apex string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	switch {
	case name == "@" || name == apex:
		return apex
	case strings.HasSuffix(name, "."+apex):
		return name
	default:
		return name + "." + apex
	}
}

// unknown lists the keys of a JSON object that are not known.
func unknown(raw json.RawMessage, known []string) []string {
	var keys map[string]json.RawMessage
	if json.Unmarshal(raw, &keys) != nil {
		return nil
	}
	var found []string
	for key := range keys {
		if !slices.Contains(known, key) {
			found = append(found, key)
		}
	}
	slices.Sort(found)
	return found
}
