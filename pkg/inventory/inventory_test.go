package inventory_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/pkg/inventory"
)

const ini = `# comment
lone.example.net ansible_port=2222

[lambda]
gpu[08:10].example.net:2200 ansible_user=ubuntu   # a comment
[lambda:vars]
ansible_user=root
ansible_ssh_private_key_file="~/keys/lambda key"
region = us-east
[aws]
web-[a:b] ansible_host=10.0.0.1 ansible_ssh_common_args='-o StrictHostKeyChecking=yes -o ProxyJump=ops@bastion:222'
[2001:db8::7]:2022 ansible_user=admin
[clouds:children]
lambda
aws
[clouds:vars]
region=somewhere
tier=edge
[all:vars]
ansible_user=nobody
`

// line is a machine in short.
func line(m inventory.Machine) string {
	return fmt.Sprintf("%s %s:%d %s %q via %q in %s", m.Name, m.Address, m.Port, m.User, m.Key, m.Jump, strings.Join(m.Groups, ","))
}

func lines(ms []inventory.Machine) []string {
	out := make([]string, len(ms))
	for i, m := range ms {
		out[i] = line(m)
	}
	return out
}

func TestAnsibleINI_ReadsHostsRangesGroupsAndVariables(t *testing.T) {
	t.Parallel()
	got, err := inventory.Ansible("hosts", []byte(ini))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`2001:db8::7 2001:db8::7:2022 admin "" via "" in aws,clouds`,
		`gpu08.example.net gpu08.example.net:2200 ubuntu "~/keys/lambda key" via "" in clouds,lambda`,
		`gpu09.example.net gpu09.example.net:2200 ubuntu "~/keys/lambda key" via "" in clouds,lambda`,
		`gpu10.example.net gpu10.example.net:2200 ubuntu "~/keys/lambda key" via "" in clouds,lambda`,
		`lone.example.net lone.example.net:2222 nobody "" via "" in `,
		`web-a 10.0.0.1:0 nobody "" via "ops@bastion:222" in aws,clouds`,
		`web-b 10.0.0.1:0 nobody "" via "ops@bastion:222" in aws,clouds`,
	}
	if text := lines(got); !slices.Equal(text, want) {
		t.Errorf("machines: got\n%s\nwant\n%s", strings.Join(text, "\n"), strings.Join(want, "\n"))
	}
	if gpu := got[1]; gpu.Vars["region"] != "us-east" || gpu.Vars["tier"] != "edge" || gpu.Line != 5 || gpu.File != "hosts" {
		t.Errorf("gpu08: got vars %v at %s:%d, want the inner group's region and line 5", gpu.Vars, gpu.File, gpu.Line)
	}
}

const yamlText = `---
all:
  vars: {ansible_user: nobody}
  hosts:
    lone.example.net: {ansible_port: 2222}
  children:
    clouds:
      vars: {region: somewhere, tier: edge}
      children:
        lambda:
          hosts:
            gpu[08:09].example.net:
              ansible_user: ubuntu
              extra: [1, 2]
          vars:
            region: us-east
        empty:
`

func TestAnsibleYAML_ReadsTheSame(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"inventory.yml", "inventory"} {
		got, err := inventory.Ansible(file, []byte(yamlText))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		want := []string{
			`gpu08.example.net gpu08.example.net:0 ubuntu "" via "" in clouds,lambda`,
			`gpu09.example.net gpu09.example.net:0 ubuntu "" via "" in clouds,lambda`,
			`lone.example.net lone.example.net:2222 nobody "" via "" in `,
		}
		if text := lines(got); !slices.Equal(text, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", file, strings.Join(text, "\n"), strings.Join(want, "\n"))
		}
		if got[0].Vars["region"] != "us-east" || got[0].Line != 12 {
			t.Errorf("%s: gpu08: got vars %v, line %d", file, got[0].Vars, got[0].Line)
		}
	}
}

func TestAnsible_NamesTheLineOfWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[web\na":                            `f:1: "[web" is no host's name`,
		"[a:b:c]\n":                          `f:1:`,
		"[web:stuff]\n":                      `f:1: "[web:stuff]" is no section`,
		"[web]\na ansible_host={{ ip }}":     `f:2:`,
		"[web]\na \"ansible_host={{ ip }}\"": `f:2: a: the address is a template`,
		"a ansible_port=70000":               `f:1: a: "70000" is no port`,
		"a ansible_user=Root!":               `f:1: a: "Root!" is no user's name`,
		"a ansible_connection=docker":        `f:1: a: it is reached by "docker"`,
		"a word":                             `f:1: "word": want name=value`,
		"a x='":                              `f:1: "a x='": a quote is not closed`,
		"[a:children]\nb":                    `f:2: the group "b" is nowhere defined`,
		"[a:children]\nb\n[b:children]\na":   `lies within itself`,
		"h[1:2000]":                          `f:1: "[1:2000]" names more than 1000 hosts`,
		"h[1:900]\ng[1:900]":                 `f:2: more than 1000 hosts`,
		"h[1:100][1:100]":                    `f:1: "h[1:100][1:100]" names more than 1000 hosts`,
		"h[9:1]":                             `f:1: "[9:1]" is no range`,
		"h[01:100]":                          `the same length`,
		"a ansible_ssh_common_args='-J x,y'": `f:1: a: several jump hosts`,
		"a ansible_ssh_common_args='-oProxyCommand=nc'": `f:1: a: it is reached by a ProxyCommand`,
		"all:\n  hosts: [a]":                            `f:2: want a mapping of hosts`,
		"all:\n  host:\n    a:":                         `f:2: "host": want hosts, vars or children`,
		"all:\n  hosts:\n    a: {ansible_host: [1]}":    `f:3: ansible_host: want a plain value`,
		"all:\n  hosts:\n    a: &x {}\n    b: *x":       `f:3:`,
		"all:\n  hosts:\n   - a\n  b: [":                `f:`,
	} {
		_, err := inventory.Ansible("f", []byte(text))
		var at *inventory.Error
		if !errors.As(err, &at) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	if _, err := inventory.Ansible("f", make([]byte, inventory.MaxText+1)); err == nil {
		t.Error("a text that is too large: got no error")
	}
}

// files are in memory.
type files map[string]string

func (f files) Glob(pattern string) ([]string, error) {
	var out []string
	for name := range f {
		if ok := strings.HasPrefix(name, strings.TrimSuffix(pattern, "*")); ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (f files) Read(name string) ([]byte, error) {
	text, ok := f[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(text), nil
}

const sshText = `Include conf.d/*
Host bastion
  HostName bastion.example.net
  User ops
  Port 222
Host nyc-1 nyc-2
  HostName=%h.example.net
  ProxyJump bastion
Match host nyc-1
  User nobody
Host direct 2001:db8::1
  ProxyJump none
  IdentityFile "%d/.ssh/%h key"
Host *
  User root
  IdentityFile ~/.ssh/id_ed25519
`

func TestSSHConfig_ReadsNamesJumpHostsAndIncludes(t *testing.T) {
	t.Parallel()
	got, warnings, err := inventory.SSHConfig("config", []byte(sshText), files{
		"conf.d/a": "User first\nHost extra\n  HostName 10.0.0.9\n  User admin\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`2001:db8::1 2001:db8::1:0 first "~/.ssh/2001:db8::1 key" via "" in `,
		`bastion bastion.example.net:222 first "~/.ssh/id_ed25519" via "" in `,
		`direct direct:0 first "~/.ssh/direct key" via "" in `,
		`extra 10.0.0.9:0 first "~/.ssh/id_ed25519" via "" in `,
		`nyc-1 nyc-1.example.net:0 first "~/.ssh/id_ed25519" via "first@bastion.example.net:222" in `,
		`nyc-2 nyc-2.example.net:0 first "~/.ssh/id_ed25519" via "first@bastion.example.net:222" in `,
	}
	if text := lines(got); !slices.Equal(text, want) {
		t.Errorf("machines: got\n%s\nwant\n%s", strings.Join(text, "\n"), strings.Join(want, "\n"))
	}
	if len(warnings) != 1 || !strings.HasPrefix(warnings[0], "config:9: a Match block is not read") {
		t.Errorf("warnings: got %q, want the Match block's line", warnings)
	}
	if got[3].File != "conf.d/a" || got[3].Line != 2 {
		t.Errorf("extra: got %s:%d, want conf.d/a:2", got[3].File, got[3].Line)
	}
}

func TestSSHConfig_WhatFollowsAnIncludeBelongsToTheBlockBeforeIt(t *testing.T) {
	t.Parallel()
	got, _, err := inventory.SSHConfig("config", []byte("Host a\n  Include x\n  HostName 10.0.0.1\nHost b\n  HostName 10.0.0.2\n"), files{"x": "Host c\n  HostName 10.0.0.3\n"})
	if err != nil || len(got) != 3 || got[0].Address != "10.0.0.1" || got[2].Address != "10.0.0.3" {
		t.Errorf("machines: got %q, %v", lines(got), err)
	}
}

func TestSSHConfig_NamesTheLineOfWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Host a\n  Port x":                   `f:1: a: "x" is no port`,
		"Host a\n  ProxyCommand nc %h":       `f:1: a: it is reached by a ProxyCommand`,
		"Host a\n  ProxyJump b,c":            `f:1: a: several jump hosts`,
		"Host a\n  IdentityFile ~/%l":        `f:1: a: "~/%l": only`,
		"Include loop":                       `loop:1: files include each other`,
		"\n\nInclude gone*\nInclude missing": `f:4: include "missing"`,
		"Host 'a":                            `f:1: a quote is not closed`,
		"Host a;b":                           `f:1: "a;b" is no host's name`,
		"Host a\n  HostName \"x y\"":         `f:1: a: "x y" is no address`,
	} {
		_, _, err := inventory.SSHConfig("f", []byte(text), files{"loop": "Include loop"})
		if text == "\n\nInclude gone*\nInclude missing" {
			_, _, err = inventory.SSHConfig("f", []byte(text), missing{})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

// missing has files that cannot be read.
type missing struct{}

func (missing) Glob(pattern string) ([]string, error) {
	if strings.HasSuffix(pattern, "*") {
		return nil, nil
	}
	return []string{pattern}, nil
}
func (missing) Read(string) ([]byte, error) { return nil, fs.ErrNotExist }

func FuzzAnsible(f *testing.F) {
	f.Add(ini)
	f.Add(yamlText)
	f.Add("h[01:10:3]x[a:c]\n[a:children]\na\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := inventory.Ansible("f", []byte(text))
		checkFound(t, got, err)
	})
}

func FuzzSSHConfig(f *testing.F) {
	f.Add(sshText)
	f.Add("Host a\nInclude conf.d/*\nMatch all\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, _, err := inventory.SSHConfig("f", []byte(text), files{"conf.d/a": "Host extra\n"})
		checkFound(t, got, err)
	})
}

// checkFound holds what was read to its bounds.
func checkFound(t *testing.T, got []inventory.Machine, err error) {
	t.Helper()
	if err != nil {
		if err.Error() == "" {
			t.Error("an error without a text")
		}
		return
	}
	if len(got) > inventory.MaxHosts {
		t.Errorf("got %d machines, want at most %d", len(got), inventory.MaxHosts)
	}
	for _, m := range got {
		if m.Name == "" || m.Address == "" || m.Port < 0 || m.Port > 65535 || m.Line < 1 {
			t.Errorf("machine: got %+v", m)
		}
	}
}
