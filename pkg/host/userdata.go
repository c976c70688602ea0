package host

import (
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// MaxUserData bounds what a machine is told at its first boot, in bytes.
const MaxUserData = 16 << 10

// UserData is what a machine must know before SSH: who may come in, and the host key by
// which it is known until it has made one itself. Nothing that may change later is in it.
type UserData struct {
	User          string   // becomes root by sudo, without a password
	Keys          []string // authorized_keys form, at least one
	HostKeyPEM    []byte   // OpenSSH private key, Ed25519
	HostKeyPublic string   // its public half, authorized_keys form
	SSHPort       int      // 0 and 22 are sshd's own default
}

// CloudConfigKeys are the top-level keys that a user data of ours may hold: cloud-init
// accepts, and passes over, any it does not know.
func CloudConfigKeys() []string {
	return []string{"disable_root", "manage_etc_hosts", "ssh_deletekeys", "ssh_keys", "ssh_pwauth", "users", "write_files"}
}

type cloudConfig struct {
	Users      []cloudUser       `yaml:"users"`
	Keys       map[string]string `yaml:"ssh_keys"`
	DeleteKeys bool              `yaml:"ssh_deletekeys"`
	Password   bool              `yaml:"ssh_pwauth"`
	NoRoot     bool              `yaml:"disable_root"`
	Hosts      string            `yaml:"manage_etc_hosts"`
	Files      []cloudFile       `yaml:"write_files,omitempty"`
}

type cloudUser struct {
	Name  string   `yaml:"name"`
	Shell string   `yaml:"shell"`
	Lock  bool     `yaml:"lock_passwd"`
	Sudo  string   `yaml:"sudo"`
	Keys  []string `yaml:"ssh_authorized_keys"`
}

type cloudFile struct {
	Path        string `yaml:"path"`
	Permissions string `yaml:"permissions"`
	Content     string `yaml:"content"`
}

// portDropIn is written by cloud-init alone: the port must be right before SSH answers.
const portDropIn = "/etc/ssh/sshd_config.d/20-fleetctl-port.conf"

var unixUser = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,30}$`)

// CloudConfig is the text for cloud-init. Equal inputs give identical bytes.
func (u UserData) CloudConfig() (string, error) {
	keys, err := u.check()
	if err != nil {
		return "", fmt.Errorf("user data: %w", err)
	}
	c := cloudConfig{
		Users: []cloudUser{{Name: u.User, Shell: "/bin/bash", Lock: true, Sudo: "ALL=(ALL) NOPASSWD:ALL", Keys: keys}},
		Keys: map[string]string{
			"ed25519_private": string(pem.EncodeToMemory(mustPEM(u.HostKeyPEM))),
			"ed25519_public":  plainKey(u.HostKeyPublic),
		},
		DeleteKeys: true, Password: false, NoRoot: true,
		Hosts: "localhost", // Debian's sudo looks the machine's own name up: 5 s a command where nothing answers
	}
	if u.SSHPort != 0 && u.SSHPort != 22 {
		c.Files = []cloudFile{{Path: portDropIn, Permissions: "0644", Content: fmt.Sprintf("Port %d\n", u.SSHPort)}}
	}
	body, err := yaml.MarshalWithOptions(c, yaml.UseLiteralStyleIfMultiline(true), yaml.IndentSequence(true))
	if err != nil {
		return "", fmt.Errorf("user data: %w", err)
	}
	text := "#cloud-config\n" + string(body)
	if len(text) > MaxUserData {
		return "", fmt.Errorf("user data: %d bytes, at most %d are sent: too many SSH keys", len(text), MaxUserData)
	}
	return text, nil
}

// check returns the keys as they are sent, and refuses what cannot be meant.
func (u UserData) check() ([]string, error) {
	switch {
	case !unixUser.MatchString(u.User) || u.User == "root":
		return nil, fmt.Errorf("%q is no name for a user", clean(u.User, 40))
	case u.SSHPort < 0 || u.SSHPort > 65535:
		return nil, fmt.Errorf("port %d", u.SSHPort)
	case len(u.Keys) == 0:
		return nil, errors.New("no SSH key: nobody could log in")
	case mustPEM(u.HostKeyPEM) == nil:
		return nil, errors.New("the host key is not one OpenSSH private key")
	}
	if _, err := sshx.EncodeHostKeyMark(u.HostKeyPublic); err != nil {
		return nil, err
	}
	keys := make([]string, 0, len(u.Keys))
	for _, k := range u.Keys {
		if _, err := sshx.Fingerprint(k); err != nil {
			return nil, fmt.Errorf("SSH key: %w", err)
		}
		keys = append(keys, commentedKey(k))
	}
	return keys, nil
}

// mustPEM is the one block of an OpenSSH private key, nil if the text is anything else.
func mustPEM(text []byte) *pem.Block {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "OPENSSH PRIVATE KEY" || len(block.Headers) > 0 || len(rest) > 0 {
		return nil
	}
	return block
}

// plainKey is type and key of a line that was checked, without its comment.
func plainKey(line string) string {
	words := strings.Fields(line)
	return strings.Join(words[:min(len(words), 2)], " ")
}

// commentedKey is a line that was checked, its comment made printable.
func commentedKey(line string) string {
	words := strings.Fields(line)
	comment := clean(strings.Join(words[min(len(words), 2):], " "), 100)
	return strings.TrimSpace(plainKey(line) + " " + comment)
}
