package dotest

import (
	"net/netip"
	"slices"
)

type dropletBody struct {
	ID               int          `json:"id"`
	Name             string       `json:"name"`
	Memory           int          `json:"memory"`
	VCPUs            int          `json:"vcpus"`
	Disk             int          `json:"disk"`
	DiskInfo         []diskInfo   `json:"disk_info"`
	Locked           bool         `json:"locked"`
	Status           string       `json:"status"`
	Kernel           *struct{}    `json:"kernel"` // null: nothing has one since 2017
	CreatedAt        string       `json:"created_at"`
	Features         []string     `json:"features"`
	BackupIDs        []int        `json:"backup_ids"`
	NextBackupWindow *struct{}    `json:"next_backup_window"`
	SnapshotIDs      []int        `json:"snapshot_ids"`
	Image            imageBody    `json:"image"`
	VolumeIDs        []string     `json:"volume_ids"`
	Size             sizeBody     `json:"size"`
	SizeSlug         string       `json:"size_slug"`
	Networks         networksBody `json:"networks"`
	Region           regionBody   `json:"region"`
	Tags             []string     `json:"tags"`
	VPCUUID          string       `json:"vpc_uuid"`
}

type diskInfo struct {
	Type string   `json:"type"`
	Size diskSize `json:"size"`
}

type diskSize struct {
	Amount int    `json:"amount"`
	Unit   string `json:"unit"`
}

type networksBody struct {
	V4 []network4 `json:"v4"`
	V6 []network6 `json:"v6"`
}

type network4 struct {
	IPAddress string `json:"ip_address"`
	Netmask   string `json:"netmask"`
	Gateway   string `json:"gateway"`
	Type      string `json:"type"`
}

type network6 struct {
	IPAddress string `json:"ip_address"`
	Netmask   int    `json:"netmask"`
	Gateway   string `json:"gateway"`
	Type      string `json:"type"`
}

// body is the droplet as a reader sees it.
func (c *Cloud) body(d *droplet) dropletBody {
	size, _ := c.findSize(d.Size)
	region, _ := findRegion(d.Region)
	image, _ := findImage(d.Image)
	b := dropletBody{
		ID: d.ID, Name: d.Name, Memory: size.Memory, VCPUs: size.VCPUs, Disk: size.Disk,
		DiskInfo: []diskInfo{{Type: "local", Size: diskSize{Amount: size.Disk, Unit: "gib"}}},
		Locked:   d.status == "new" || d.doomed, Status: d.status, CreatedAt: stamp(d.created),
		Features: []string{}, BackupIDs: []int{}, SnapshotIDs: []int{}, VolumeIDs: []string{},
		Image: image, Size: size, SizeSlug: d.Size, Region: region,
		Networks: networksBody{V4: []network4{}, V6: []network6{}},
		Tags:     append([]string{}, d.Tags...), VPCUUID: hash("vpc", d.Region),
	}
	if d.ipv6 {
		b.Features = append(b.Features, "ipv6")
	}
	if d.status != "new" {
		b.Networks = d.networks()
	}
	return b
}

// networks lists the private network first, as DigitalOcean may: the first address is not
// the public one.
func (d *droplet) networks() networksBody {
	private := netip.AddrFrom4([4]byte{10, 116, byte(d.ID >> 8), byte(d.ID)})
	n := networksBody{
		V4: []network4{{IPAddress: private.String(), Netmask: "255.255.0.0", Gateway: "10.116.0.1", Type: "private"}},
		V6: []network6{},
	}
	for _, a := range d.addrs {
		if a.Unmap().Is4() {
			n.V4 = append(n.V4, network4{IPAddress: a.Unmap().String(), Netmask: "255.254.0.0", Gateway: "198.18.0.1", Type: "public"})
		} else {
			n.V6 = append(n.V6, network6{IPAddress: a.String(), Netmask: 64, Gateway: "2001:db8::1", Type: "public"})
		}
	}
	return n
}

// addresses are the first that no other droplet of the cloud has: those of a deleted
// droplet come again, as they do in a data centre.
func (c *Cloud) addresses(t *team, d *droplet) []netip.Addr {
	var taken []netip.Addr
	for _, other := range append([]*team{t}, c.otherTeams(t)...) {
		for _, have := range other.droplets {
			taken = append(taken, have.addrs...)
		}
	}
	for n := 2; ; n++ {
		four := netip.AddrFrom4([4]byte{198, 18 + byte(n>>16), byte(n >> 8), byte(n)})
		if slices.Contains(taken, four) {
			continue
		}
		if !d.ipv6 {
			return []netip.Addr{four}
		}
		six := netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)})
		return []netip.Addr{four, six}
	}
}

func (c *Cloud) otherTeams(than *team) []*team {
	var others []*team
	for _, t := range c.teams {
		if t != than {
			others = append(others, t)
		}
	}
	return others
}
