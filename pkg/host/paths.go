package host

import "path"

// The layout of a box. Paths are absolute on the box, as SSH and SFTP see it.
const (
	// Base holds what fleetctl installs.
	Base = "/opt/relay"
	// Releases holds one directory for each installed binary, named after its SHA-256.
	Releases = Base + "/releases"
	// Current is the symbolic link to the release that the service starts.
	Current = Base + "/current"
	// Restarted holds the time (RFC 3339) of the last restart of a serving relay by fleetctl.
	Restarted = Base + "/restarted"
	// Changing says what the running process was started with, from before its files
	// change until its successor serves. See [mark].
	Changing = Base + "/changing.json"
	// Binary is the daemon that the service starts.
	Binary = Current + "/relay"

	// ConfigFile is the daemon's configuration.
	ConfigFile = "/etc/relay/relay.yaml"

	// StateDir is where the daemon keeps its identity and its counters.
	StateDir = "/var/lib/relay"
	// PeerIDFile holds the relay's peer ID and a newline.
	PeerIDFile = StateDir + "/peer-id.txt"
	// CensusFile is the daemon's register of everybody it has met.
	CensusFile = StateDir + "/bootnode-peers.json"
	// ImportFile is a census that the daemon merges into its own once.
	ImportFile = StateDir + "/bootnode-peers.import.json"
	// DrainMark makes the daemon refuse reservations while it exists.
	DrainMark = StateDir + "/draining"
	// PeersFile holds the addresses of the fleet's other relays, one on a line.
	PeersFile = StateDir + "/fleet-peers.txt"
	// MarksName is the file of the state directory in which provider hosts keeps its marks.
	MarksName = "machine.json"
	// AuditLog has one line of JSON for each time that fleetctl wrote to the box.
	AuditLog = StateDir + "/audit.log"

	// User is the user and the group that the service runs as; fleetctl makes it.
	User = "relay"
	// UnitFile is the service as systemd reads it.
	UnitFile = "/etc/systemd/system/" + Unit
	// SystemAudit is [AuditLog] on a box with a system of its own, out of reach of the
	// relay's user.
	SystemAudit = "/var/log/fleetctl/audit.log"
	// Settled says which parts of the system are in effect: their files alone do not.
	Settled = Base + "/settled.json"

	// FirewallUnit loads FirewallRules, a table of nft's of its own.
	FirewallUnit     = "fleetctl-firewall.service"
	FirewallRules    = "/etc/fleetctl/firewall.nft"
	firewallUnitFile = "/etc/systemd/system/" + FirewallUnit
	sshdDropIn       = "/etc/ssh/sshd_config.d/10-fleetctl.conf"
	journaldDropIn   = "/etc/systemd/journald.conf.d/10-fleetctl.conf"
	sysctlFile       = "/etc/sysctl.d/90-fleetctl.conf"
	upgradesFile     = "/etc/apt/apt.conf.d/52fleetctl"

	// HostKeyFile is the host key that was made on the box, and HostKeyDropIn what makes
	// sshd use it and no other.
	HostKeyFile   = "/etc/ssh/fleetctl_host_ed25519_key"
	HostKeyDropIn = "/etc/ssh/sshd_config.d/05-fleetctl-hostkey.conf"

	// Unit is the name of the service.
	Unit = "relay.service"
	// API is where the daemon answers, as seen from the box.
	API = "127.0.0.1:9847"
)

// Kept is how many releases stay on a box.
const Kept = 5

// ReleaseDir is the directory of the release with this SHA-256.
func ReleaseDir(sha256 string) string { return path.Join(Releases, sha256) }

// ReleaseFile is the binary of the release with this SHA-256.
func ReleaseFile(sha256 string) string { return path.Join(Releases, sha256, "relay") }
