package box

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestArgv_TableIsAnswered(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, m := s.boot(t)
	outside := filepath.Join(t.TempDir(), "thesis.txt")
	must(t, "write", os.WriteFile(outside, []byte("ten years of work"), 0o600))
	put := func(name, text string) {
		must(t, name, os.WriteFile(filepath.Join(s.Root(id), name), []byte(text), 0o600))
	}
	put("good.nft", "table inet x\ndelete table inet x\ntable inet x {\n\tchain y { }\n}\n")
	put("bad.nft", "table inet x {\n")
	put("worse.nft", "tabel inet x { }\n")
	put("sysctl.conf", "# comment\nnet.core.rmem_max = 7500000\n")
	put("proc/swaps", "Filename Type Size Used Priority\n/swapfile file 1 0 -2\n")
	for i, tc := range []struct {
		argv string // words; two apostrophes are an empty one, a tilde is a space
		code int
		want string // regular expression over stdout, or stderr where the code is not 0
	}{
		{"uname -s -m", 0, `^Linux `},
		{"getent passwd fleetctl", 0, `^fleetctl:x:1000:1000::/home/fleetctl:/bin/bash\n$`},
		{"getent passwd relay", 2, `^$`},
		{"install -d -o relay -g relay -m 0700 /var/lib/relay", 1, `invalid user: "relay"`},
		{"/usr/sbin/useradd --system --user-group --no-create-home --home-dir /var/lib/relay --shell /usr/sbin/nologin relay", 0, `^$`},
		{"/usr/sbin/useradd --system --user-group --no-create-home --home-dir /var/lib/relay --shell /usr/sbin/nologin relay", 9, `already exists`},
		{"getent passwd relay", 0, `^relay:x:100:100::/var/lib/relay:/usr/sbin/nologin\n$`},
		{"install -d -o relay -g relay -m 0700 /var/lib/relay", 0, `^$`},
		{"chown relay:relay /var/lib/relay", 0, `^$`},
		{"chown relay /nothing", 1, `no such file`},
		{"install -d -o fleetctl -g 1000 -m 0700 /home/fleetctl/.ssh", 0, `^$`},
		{"chown fleetctl:1000 /home/fleetctl/.ssh", 0, `^$`},
		{"mkdir -p -m 0700 /srv/a/b", 0, `^$`},
		{"mkdir -p -m 0700 /srv/a/b", 0, `^$`},
		{"mkdir -p -m 0700 /good.nft/a", 1, `mkdir: .*not a directory`},
		{"date +%s", 0, `^[0-9]{10}\n$`},
		{"chown -R -h relay:relay /var/lib/relay", 0, `^$`},
		{"chmod 0600 /good.nft", 0, `^$`},
		{"ls -1 /etc/ssh", 0, `^ssh_host_ed25519_key\nssh_host_ed25519_key.pub\nsshd_config\nsshd_config.d\n$`},
		{"tail -n 1 /etc/passwd", 0, `^relay:[^\n]*\n$`},
		{"cat " + outside, 1, `no such file`},
		{"rm -rf -- /nothing", 0, `^$`},
		{"rmdir /etc", 1, `not empty`},
		{"rm -rf -- /", 1, `dangerous`},
		{"rm -rf -- /..", 1, `dangerous`},
		{"dpkg-query -W -f ${Package}~${db:Status-Status}\\n nftables systemd-timesyncd", 1, `no packages found matching nftables`},
		{"env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=60 update", 0, ``},
		{"env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends nftables unattended-upgrades", 0, ``},
		{"env DEBIAN_FRONTEND=noninteractive apt-get -q remove nftables", 100, `Invalid operation`},
		{"dpkg-query -W -f ${Package}~${db:Status-Status}\\n nftables systemd-timesyncd", 0, `^nftables installed\nsystemd-timesyncd installed\n$`},
		{"timedatectl show -p CanNTP -p NTP -p NTPSynchronized", 0, `NTP=yes`},
		{"/usr/sbin/swapoff -a", 0, `^$`},
		{"cat /proc/swaps", 0, `^Filename[^\n]*\n$`},
		{"/usr/sbin/sysctl -e -p /sysctl.conf", 0, `^net.core.rmem_max = 7500000\n$`},
		{"/usr/sbin/nft -c -f /good.nft", 0, `^$`},
		{"/usr/sbin/nft -c -f /bad.nft", 1, `unexpected end of file`},
		{"/usr/sbin/nft -c -f /worse.nft", 1, `syntax error`},
		{"/usr/sbin/nft -c -f /nothing", 1, `no such file`},
		{"/usr/sbin/sshd -t", 0, `^$`},
		{"systemctl reload ssh.service", 0, `^$`},
		{"systemctl restart systemd-journald.service", 0, `^$`},
		{"systemctl reload-or-restart fleetctl-firewall.service", 5, `not found`},
		{"ssh-keygen -q -t ed25519 -N '' -C '' -f /etc/ssh/mine", 0, `^$`},
		{"ssh-keygen -q -t ed25519 -N '' -C '' -f /etc/ssh/mine", 1, `already exists`},
		{"ssh-keygen -q -t ed25519 -N secret -C '' -f /etc/ssh/other", 127, `not found`},
		{"ssh-keygen -y -f /etc/ssh/mine", 0, `^ssh-ed25519 [A-Za-z0-9+/=]+\n$`},
		{"ssh-keygen -y -f /etc/ssh/none", 255, `no such file`},
		{"cloud-init status --wait --format json", 0, `"status": "done"`},
		{"ss -H -l -t -n -p sport~=~:9847", 0, `^$`},
		{"sh -c true", 127, `^sh: not found: this simulated droplet answers a fixed table of commands\n$`},
		{"rm -rf /", 127, `not found`},
		{"systemctl start cron.service", 5, `not found`},
	} {
		argv := strings.Fields(tc.argv)
		for i, word := range argv {
			argv[i] = strings.ReplaceAll(strings.ReplaceAll(word, "''", ""), "~", " ")
		}
		out, errOut, code := s.run(t, m, argv...)
		text := out
		if tc.code != 0 {
			text = errOut
		}
		if code != tc.code || !regexp.MustCompile(tc.want).MatchString(text) {
			t.Errorf("%d %s: got exit %d, %q, want %d, %s", i, tc.argv, code, text, tc.code, tc.want)
		}
		if strings.Contains(out+errOut, s.dir) {
			t.Errorf("%d %s: %q names a path outside the machine", i, tc.argv, out+errOut)
		}
	}
}

func TestArgv_EnvironmentStaysOutside(t *testing.T) {
	t.Setenv("SECRET", "token")
	s := newSite(t)
	_, m := s.serving(t, "management")
	if out := s.mustRun(t, m, "/opt/relay/current/relay", "version", "-o", "json"); strings.Contains(out, "token") {
		t.Errorf("the relay sees the environment of the cloud: %q", out)
	}
}
