package dotest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// key is a public key of an account.
type key struct {
	id          int
	name        string
	fingerprint string // MD5, as DigitalOcean writes it
	publicKey   string // as it was uploaded
}

type keyBody struct {
	ID          int    `json:"id"`
	Fingerprint string `json:"fingerprint"`
	PublicKey   string `json:"public_key"`
	Name        string `json:"name"`
}

func (k *key) body() keyBody {
	return keyBody{ID: k.id, Fingerprint: k.fingerprint, PublicKey: k.publicKey, Name: k.name}
}

// key finds one by ID or fingerprint.
func (t *team) key(identifier string) *key {
	for _, k := range t.keys {
		if strconv.Itoa(k.id) == identifier || k.fingerprint == identifier {
			return k
		}
	}
	return nil
}

func listKeys(_ *Cloud, q *call) answer {
	found := []keyBody{}
	for _, k := range q.team.keys {
		found = append(found, k.body())
	}
	return page(q, "ssh_keys", found)
}

func createKey(c *Cloud, q *call) answer {
	var form keyBody
	if err := json.Unmarshal(q.body, &form); err != nil {
		return refuse(http.StatusBadRequest, "bad_request", err.Error())
	}
	parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(form.PublicKey))
	if err != nil || form.Name == "" {
		return unprocessable("SSH key is invalid: it needs a name and a public key in the form of authorized_keys")
	}
	fingerprint := ssh.FingerprintLegacyMD5(parsed)
	if q.team.key(fingerprint) != nil {
		return unprocessable("SSH Key is already in use on your account")
	}
	c.ids.key++
	k := &key{id: c.ids.key, name: form.Name, fingerprint: fingerprint, publicKey: strings.TrimSpace(form.PublicKey)}
	q.team.keys = append(q.team.keys, k)
	return created(map[string]any{"ssh_key": k.body()})
}

func getKey(_ *Cloud, q *call) answer {
	k := q.team.key(q.params["ssh_key_identifier"])
	if k == nil {
		return notFound()
	}
	return ok(map[string]any{"ssh_key": k.body()})
}

func renameKey(_ *Cloud, q *call) answer {
	k := q.team.key(q.params["ssh_key_identifier"])
	if k == nil {
		return notFound()
	}
	var form keyBody
	if err := json.Unmarshal(q.body, &form); err != nil {
		return refuse(http.StatusBadRequest, "bad_request", err.Error())
	}
	if form.Name != "" {
		k.name = form.Name
	}
	return ok(map[string]any{"ssh_key": k.body()})
}

// deleteKey leaves the droplets that were made with the key as they are.
func deleteKey(_ *Cloud, q *call) answer {
	k := q.team.key(q.params["ssh_key_identifier"])
	if k == nil {
		return notFound()
	}
	q.team.keys = slices.DeleteFunc(q.team.keys, func(have *key) bool { return have == k })
	return noContent()
}
