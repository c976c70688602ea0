package box

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// cloudConfig is what a user data may ask for here. Other keys are passed over, as
// cloud-init passes over those that it does not know.
type cloudConfig struct {
	Users []any             `yaml:"users"` // names, and mappings
	Keys  map[string]string `yaml:"ssh_keys"`
	Files []cloudFile       `yaml:"write_files"`
}

type cloudUser struct {
	Name  string   `yaml:"name"`
	Shell string   `yaml:"shell"`
	Keys  []string `yaml:"ssh_authorized_keys"`
}

type cloudFile struct {
	Path        string `yaml:"path"`
	Permissions string `yaml:"permissions"`
	Encoding    string `yaml:"encoding"`
	Content     string `yaml:"content"`
}

// firstBoot is how cloud-init ended.
type firstBoot struct{ errs []string }

// status is the answer of cloud-init status --format json.
func (f firstBoot) status() string {
	said := map[string]any{
		"boot_status_code": "enabled-by-generator", "datasource": "digitalocean", "detail": "DataSourceDigitalOcean",
		"errors": append([]string{}, f.errs...), "status": "done", "last_update": "",
	}
	if len(f.errs) > 0 {
		said["status"] = "error"
	}
	text, err := json.MarshalIndent(said, "", "  ")
	if err != nil {
		return "{}"
	}
	return string(text)
}

// cloudInit does at the first boot what the user data says, as far as it can, and returns
// who may log in. What fails is in its status and in its log on the machine, as there.
func cloudInit(d disk, m dotest.Machine) (user string, end firstBoot) {
	fail := func(err error) {
		if err != nil {
			end.errs = append(end.errs, boxsim.Cause(err).Error())
		}
	}
	fail(d.format())
	fail(d.write("etc/hostname", m.Name+"\n", 0o644))
	config, err := parseUserData(m.UserData)
	fail(err)
	user = "root"
	keys := m.PublicKeys
	for _, u := range config.users(fail) {
		if user == "root" {
			user, keys = u.Name, u.Keys // the machine lets one user in: the first
		}
		fail(d.addLogin(u))
	}
	if user == "root" {
		fail(d.authorize("root", keys))
	}
	fail(d.hostKey(config.Keys))
	for _, f := range config.Files {
		fail(d.cloudFile(f))
	}
	log := "Cloud-init v. 22.4.2 running 'modules:final'\n"
	for _, e := range end.errs {
		log += "error: " + e + "\n"
	}
	log += "Cloud-init v. 22.4.2 finished. Datasource DataSourceDigitalOcean\n"
	fail(d.write("var/log/cloud-init-output.log", log, 0o640))
	return user, end
}

// parseUserData reads a cloud-config; a text of another kind asks for nothing.
func parseUserData(text string) (cloudConfig, error) {
	var c cloudConfig
	if text == "" {
		return c, nil
	}
	if !strings.HasPrefix(text, "#cloud-config\n") {
		return c, errors.New("unhandled non-multipart (text/x-not-multipart) userdata")
	}
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		return cloudConfig{}, errors.New("failed loading yaml blob") // the text holds a key
	}
	return c, nil
}

// users are those that are described; "default" is not made here.
func (c cloudConfig) users(fail func(error)) []cloudUser {
	var out []cloudUser
	for _, one := range c.Users {
		if _, named := one.(string); named {
			continue
		}
		var u cloudUser
		text, err := yaml.Marshal(one)
		if err == nil {
			err = yaml.Unmarshal(text, &u)
		}
		if err != nil || u.Name == "" || strings.ContainsAny(u.Name, ":/\n") || u.Name == ".." {
			fail(fmt.Errorf("users: %s is no user", boxsim.Printable(fmt.Sprint(one))))
			continue
		}
		out = append(out, u)
	}
	return out
}

// addLogin makes a user who can log in.
func (d disk) addLogin(u cloudUser) error {
	if u.Shell == "" {
		u.Shell = "/bin/sh"
	}
	if !d.hasUser(u.Name) {
		if err := d.addUser(u.Name, home(u.Name), u.Shell, 1000); err != nil {
			return err
		}
	}
	return d.authorize(u.Name, u.Keys)
}

// authorize writes a user's authorized_keys.
func (d disk) authorize(user string, keys []string) error {
	text := ""
	for _, k := range keys {
		text += strings.TrimSpace(k) + "\n"
	}
	file := authorizedKeys(user)
	if err := d.write(file, text, 0o600); err != nil {
		return err
	}
	return d.jail.Chmod(path.Dir(file), 0o700)
}

// hostKey installs the host key that was sent, or makes one if none was.
func (d disk) hostKey(sent map[string]string) error {
	private, public := sent["ed25519_private"], sent["ed25519_public"]
	if private == "" {
		var err error
		if private, public, err = newKey("root@debian"); err != nil {
			return err
		}
	}
	return errors.Join(d.write(bootHostKey, private, 0o600), d.write(bootHostKey+".pub", strings.TrimSpace(public)+"\n", 0o644))
}

// newKey makes an Ed25519 key in OpenSSH's form.
func newKey(comment string) (private, public string, err error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", err
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return "", "", err
	}
	signer, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		return "", "", err
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(line + " " + comment), nil
}

// cloudFile writes a file of write_files.
func (d disk) cloudFile(f cloudFile) error {
	mode := fs.FileMode(0o644)
	if f.Permissions != "" {
		n, err := strconv.ParseUint(f.Permissions, 8, 12)
		if err != nil {
			return fmt.Errorf("write_files: %s: permissions %q", boxsim.Printable(f.Path), boxsim.Printable(f.Permissions))
		}
		mode = fs.FileMode(n) // #nosec G115 -- twelve bits
	}
	switch f.Encoding {
	case "", "text/plain":
	case "b64", "base64":
		text, err := base64.StdEncoding.DecodeString(f.Content)
		if err != nil {
			return fmt.Errorf("write_files: %s: %w", boxsim.Printable(f.Path), err)
		}
		f.Content = string(text)
	default:
		return fmt.Errorf("write_files: %s: encoding %q", boxsim.Printable(f.Path), boxsim.Printable(f.Encoding))
	}
	return d.write(boxsim.Name(f.Path), f.Content, mode)
}
