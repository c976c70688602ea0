package fleet

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

var (
	idForm    = regexp.MustCompile(`^[a-z0-9]{8,26}$`)
	slugForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
	tagForm   = regexp.MustCompile(`^[a-zA-Z0-9_:-]+$`) // DigitalOcean's API, tags
	envForm   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	userForm  = regexp.MustCompile(`^[a-z_][a-z0-9_-]*$`)
	hostForm  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)
	jumpForm  = regexp.MustCompile(`^([a-z_][a-z0-9_-]*@)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`)
	stateForm = regexp.MustCompile(`^/[A-Za-z0-9._/-]+$`)
)

// oursPrefixes begin the tags that say which machines are ours.
var oursPrefixes = []string{"fleet:", "fleetid:", "fence:", "slot:", "op:", "phase:", "hostkey:", "adopted:", "state:"}

func oceanKeys(o *OceanSpec) group {
	return group{
		{name: "size", doc: "Size of a droplet, by its slug.",
			value: text{to: &o.Size, pattern: slugForm, most: 64, want: "a size's slug, such as s-1vcpu-1gb"}},
		{name: "image", doc: "Image of a droplet, by its slug.",
			value: text{to: &o.Image, pattern: slugForm, most: 64, want: "an image's slug, such as debian-12-x64"}},
		{name: "ssh_keys", hidden: true, doc: "Operators' public SSH keys: files, keys, or SHA256: and MD5 fingerprints of keys on the account.",
			value: list[string]{to: &o.SSHKeys, least: 0, most: 100, want: "a list of at most 100 keys", of: func(s *string) shape {
				return text{to: s, most: 4096, want: "a .pub file, a public key, or a fingerprint"}
			}}},
		{name: "tags", hidden: true, doc: "Tags of the droplets beside those by which fleetctl knows them.",
			value: list[string]{to: &o.Tags, least: 0, most: 50, want: "a list of at most 50 tags", of: func(s *string) shape {
				return text{to: s, pattern: tagForm, most: 255, want: "1 to 255 of A-Z, a-z, 0-9, _, : and -"}
			}}},
		{name: "max_monthly", hidden: true, doc: "US dollars that the fleet may cost in a month, also while a machine is replaced; nothing that exceeds it is bought. 0 is no bound.",
			value: whole[int]{to: &o.MaxMonthly, least: 0, top: 10_000_000, what: "a number of dollars"}},
		{name: "max_machines", derived: true, doc: "Droplets that the fleet may have, also while one is replaced; by default twice the nodes.",
			value: whole[int]{to: &o.MaxMachines, least: 1, top: 10 * MaxNodes, what: "a number"}},
		{name: "ssh_port", doc: "Port of the droplets' SSH.",
			value: whole[int]{to: &o.SSHPort, least: 1, top: 65535, what: "a port"}},
		{name: "token", hidden: true, doc: "Where the API token is; by default in DIGITALOCEAN_TOKEN or DIGITALOCEAN_ACCESS_TOKEN.", value: section{
			group: secretKeys(&o.Token), used: func() bool { return !o.Token.IsZero() }, why: "want one of env, file and command"}},
	}
}

func secretKeys(s *SecretSpec) group {
	return group{
		{name: "env", hidden: true, doc: "Name of the environment variable that holds it.",
			value: text{to: &s.Env, pattern: envForm, most: 128, want: "the name of an environment variable"}},
		{name: "file", hidden: true, doc: "File that holds it and that nobody else may read.",
			value: text{to: &s.File, most: 4096, want: "a path of 1 to 4096 printable bytes"}},
		{name: "command", hidden: true, doc: "Program that prints it, as a list of words.",
			value: list[string]{to: &s.Command, least: 0, most: 64, want: "a list of at most 64 words", of: func(s *string) shape {
				return text{to: s, most: 4096, want: "a word of 1 to 4096 printable bytes"}
			}}},
	}
}

func hostKeys(h *HostSpec) shape {
	return group{
		{name: "node", hidden: true, doc: "Its node; by default <region>-<n>, counted in the order of the list.",
			value: text{to: &h.Node, pattern: nameForm, most: 32, want: "1 to 32 of a-z, 0-9 and -, no - at either end"}},
		{name: "address", required: true, doc: "IP address or name at which clients and SSH reach it.",
			value: text{to: &h.Address, pattern: nil, most: 253, want: "an IP address or a host's name"}},
		{name: "port", hidden: true, doc: "Port of its SSH, 22 by default.",
			value: whole[int]{to: &h.Port, least: 1, top: 65535, what: "a port"}},
		{name: "user", hidden: true, doc: "User for SSH, root by default; another one becomes root by sudo without a password.",
			value: text{to: &h.User, pattern: userForm, most: 32, want: "a user's name"}},
		{name: "key", hidden: true, doc: "Private key file for SSH, beside the fleet's own key.",
			value: text{to: &h.Key, most: 4096, want: "a path of 1 to 4096 printable bytes"}},
		{name: "jump", hidden: true, doc: "Host through which SSH goes.",
			value: text{to: &h.Jump, pattern: jumpForm, most: 320, want: "[user@]host[:port]"}},
		{name: "region", required: true, doc: "Where it is, in a word.",
			value: text{to: &h.Region, pattern: nameForm, most: 30, want: "1 to 30 of a-z, 0-9 and -, no - at either end"}},
		{name: "labels", hidden: true, doc: "Groups that it belongs to, for selectors.",
			value: list[string]{to: &h.Labels, least: 0, most: 50, want: "a list of at most 50 labels", of: func(s *string) shape {
				return text{to: s, pattern: tagForm, most: 255, want: "1 to 255 of A-Z, a-z, 0-9, _, : and -"}
			}}},
		{name: "state", hidden: true, doc: "Directory where its relay keeps identity and counters; " + StateDir + " by default.",
			value: text{to: &h.State, pattern: stateForm, most: 255, want: "an absolute path of A-Z, a-z, 0-9, ., _, - and /"}},
		{name: "service", hidden: true, doc: "What runs its relay.",
			value: text{to: &h.Service, among: services(), want: oneOf(services())}},
	}
}

// nodeList is the list of nodes, which with provider hosts stands nowhere.
type nodeList struct {
	list[NodeSpec]
	given func() bool // by the hosts
}

func (l nodeList) check(c *checker, path string) {
	if !l.given() {
		l.list.check(c, path)
	}
}

func (l nodeList) encode() any {
	if l.given() {
		return []any{}
	}
	return l.list.encode()
}

func services() []string { return []string{ServiceSystemd, ServiceLaunchd, ServiceProcess} }

// completeHosts gives every host what its entry leaves out, and the spec a node for each.
func completeHosts(s *Spec) {
	next := make(map[string]int)
	s.Nodes = nil
	for i := range s.Hosts {
		h := &s.Hosts[i]
		next[h.Region]++
		if h.Node == "" {
			h.Node = fmt.Sprintf("%s-%d", h.Region, next[h.Region])
		}
		if h.Port == 0 {
			h.Port = 22
		}
		if h.User == "" {
			h.User = "root"
		}
		if h.State == "" {
			h.State = StateDir
		}
		if h.Service == "" {
			h.Service = ServiceSystemd
		}
		s.Nodes = append(s.Nodes, NodeSpec{Region: h.Region, Count: 1})
	}
}

// hosts checks what depends on several entries, or on the provider.
func (c *checker) hosts(s *Spec) {
	if s.Provider != ProviderHosts {
		if len(s.Hosts) > 0 {
			c.add("hosts", "", fmt.Sprintf("only provider %q has hosts, this is %q", ProviderHosts, s.Provider))
		}
		return
	}
	if len(s.Hosts) == 0 {
		c.add("hosts", "", fmt.Sprintf("missing; provider %q needs at least one", ProviderHosts))
		return
	}
	if c.places != nil && !c.absent("nodes") {
		c.add("nodes", "", fmt.Sprintf("with provider %q the nodes are the hosts: remove the key", ProviderHosts))
	}
	nodes, places := make(map[string]int), make(map[string]int)
	for i, h := range s.Hosts {
		at := func(key string) string { return fmt.Sprintf("hosts[%d].%s", i, key) }
		address := strings.ToLower(h.Address)
		if ip, err := netip.ParseAddr(h.Address); err == nil {
			address = ip.Unmap().String() // which has several spellings
		} else if !hostForm.MatchString(h.Address) {
			c.add(at("address"), quote(h.Address), "want an IP address or a host's name")
		}
		if was, twice := nodes[h.Node]; twice {
			c.add(at("node"), quote(h.Node), fmt.Sprintf("the node of hosts[%d], too", was))
		}
		place := fmt.Sprintf("%s:%d", address, h.Port)
		if was, twice := places[place]; twice {
			c.add(at("address"), quote(h.Address), fmt.Sprintf("the machine of hosts[%d], too", was))
		}
		nodes[h.Node], places[place] = i, i
	}
}

// ocean checks what depends on several values of the section.
func (c *checker) ocean(s *Spec) {
	if s.Provider != ProviderDigitalOcean {
		return
	}
	for i, tag := range s.Ocean.Tags {
		if slices.ContainsFunc(oursPrefixes, func(p string) bool { return strings.HasPrefix(strings.ToLower(tag), p) }) {
			c.add(fmt.Sprintf("digitalocean.tags[%d]", i), quote(tag), "this is how fleetctl knows its own machines: want another word")
		}
	}
	c.oneSource("digitalocean.token", s.Ocean.Token)
}
