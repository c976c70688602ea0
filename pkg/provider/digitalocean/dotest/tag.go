package dotest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// tag is a label of an account. The first spelling of its name stays.
type tag struct {
	name string
	last int // droplet that was tagged last; 0: none
}

type tagBody struct {
	Name      string    `json:"name"`
	Resources tagCounts `json:"resources"`
}

// tagName is the published pattern; the published length is checked beside it.
var tagName = regexp.MustCompile(`^[a-zA-Z0-9_\-:]+$`)

const maxTag = 255

func validTag(name string) bool { return len(name) <= maxTag && tagName.MatchString(name) }

// tagged counts what has a tag.
type tagged struct {
	Count         int    `json:"count"`
	LastTaggedURI string `json:"last_tagged_uri,omitempty"`
}

// tagCounts is what has a tag, by kind. Only droplets can be tagged here.
type tagCounts struct {
	tagged
	Droplets        tagged `json:"droplets"`
	Images          tagged `json:"images"`
	Volumes         tagged `json:"volumes"`
	VolumeSnapshots tagged `json:"volume_snapshots"`
	Databases       tagged `json:"databases"`
}

func (q *call) tagBody(t *tag) tagBody {
	b := tagBody{Name: t.name}
	for _, d := range q.team.droplets {
		if slices.Contains(d.Tags, t.name) {
			b.Resources.Droplets.Count++
		}
	}
	if t.last != 0 && b.Resources.Droplets.Count > 0 {
		b.Resources.Droplets.LastTaggedURI = fmt.Sprintf("http://%s/v2/droplets/%d", q.r.Host, t.last)
	}
	b.Resources.tagged = b.Resources.Droplets
	return b
}

// findTag finds a tag by the spelling that it has.
func (t *team) findTag(name string) *tag {
	if have := t.tags[strings.ToLower(name)]; have != nil && have.name == name {
		return have
	}
	return nil
}

// addTag adds a tag to a list, and to the account if it is new there.
func (t *team) addTag(list []string, name string) []string {
	have := t.tags[strings.ToLower(name)]
	if have == nil {
		have = &tag{name: name}
		t.tags[strings.ToLower(name)] = have
	}
	if slices.Contains(list, have.name) {
		return list
	}
	return append(list, have.name)
}

// missingTag names the first that the account does not have.
func (t *team) missingTag(names []string) (string, bool) {
	for _, name := range names {
		if t.tags[strings.ToLower(name)] == nil {
			return name, true
		}
	}
	return "", false
}

func listTags(_ *Cloud, q *call) answer {
	all := slices.SortedFunc(maps.Values(q.team.tags), func(a, b *tag) int { return cmp.Compare(a.name, b.name) })
	found := []tagBody{}
	for _, t := range all {
		found = append(found, q.tagBody(t))
	}
	return page(q, "tags", found)
}

// createTag of one that is there answers with that one.
func createTag(_ *Cloud, q *call) answer {
	var form tagBody
	if err := json.Unmarshal(q.body, &form); err != nil {
		return refuse(http.StatusBadRequest, "bad_request", err.Error())
	}
	if form.Name == "" {
		return unprocessable("name is missing")
	}
	q.team.addTag(nil, form.Name)
	return created(map[string]any{"tag": q.tagBody(q.team.tags[strings.ToLower(form.Name)])})
}

func getTag(_ *Cloud, q *call) answer {
	t := q.team.findTag(q.params["tag_id"])
	if t == nil {
		return notFound()
	}
	return ok(map[string]any{"tag": q.tagBody(t)})
}

// deleteTag takes the tag from all that has it; the droplets stay.
func deleteTag(_ *Cloud, q *call) answer {
	t := q.team.findTag(q.params["tag_id"])
	if t == nil {
		return notFound()
	}
	delete(q.team.tags, strings.ToLower(t.name))
	for _, d := range q.team.droplets {
		d.drop(t.name)
	}
	for _, f := range q.team.firewalls {
		f.tags = without(f.tags, t.name)
	}
	return noContent()
}

// drop takes a tag away, applied or not.
func (d *droplet) drop(tag string) { d.Tags, d.hidden = without(d.Tags, tag), without(d.hidden, tag) }

// without copies a list without some of its elements.
func without[T comparable](list []T, drop ...T) []T {
	return slices.DeleteFunc(slices.Clone(list), func(have T) bool { return slices.Contains(drop, have) })
}

func tagResources(c *Cloud, q *call) answer {
	return c.retag(q, func(d *droplet, t *tag) {
		d.Tags = q.team.addTag(d.Tags, t.name)
		t.last = d.ID
	})
}

func untagResources(c *Cloud, q *call) answer {
	return c.retag(q, func(d *droplet, t *tag) { d.drop(t.name) })
}

// retag changes the tags of the droplets that the request names: all, or none if one is
// unknown.
func (c *Cloud) retag(q *call, change func(*droplet, *tag)) answer {
	t := q.team.findTag(q.params["tag_id"])
	if t == nil {
		return notFound()
	}
	var form struct {
		Resources []struct {
			ID   string `json:"resource_id"`
			Type string `json:"resource_type"`
		} `json:"resources"`
	}
	if err := json.Unmarshal(q.body, &form); err != nil {
		return refuse(http.StatusBadRequest, "bad_request", err.Error())
	}
	var all []*droplet
	for _, r := range form.Resources {
		id, err := strconv.Atoi(r.ID)
		d := q.team.droplet(id)
		if err != nil || r.Type != "droplet" || d == nil {
			return notFound()
		}
		all = append(all, d)
	}
	for _, d := range all {
		change(d, t)
	}
	return noContent()
}
