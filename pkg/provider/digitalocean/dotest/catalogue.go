package dotest

import (
	"slices"
	"strconv"
	"strings"
	"sync"
)

type sizeBody struct {
	Slug         string     `json:"slug"`
	Memory       int        `json:"memory"`
	VCPUs        int        `json:"vcpus"`
	Disk         int        `json:"disk"`
	Transfer     float64    `json:"transfer"`
	PriceMonthly float64    `json:"price_monthly"`
	PriceHourly  float64    `json:"price_hourly"`
	Regions      []string   `json:"regions"`
	Available    bool       `json:"available"`
	Description  string     `json:"description"`
	DiskInfo     []diskInfo `json:"disk_info"`
}

type regionBody struct {
	Name      string   `json:"name"`
	Slug      string   `json:"slug"`
	Features  []string `json:"features"`
	Available bool     `json:"available"`
	Sizes     []string `json:"sizes"`
}

type imageBody struct {
	ID            int      `json:"id"`
	Name          string   `json:"name"`
	Type          string   `json:"type"`
	Distribution  string   `json:"distribution"`
	Slug          string   `json:"slug"`
	Public        bool     `json:"public"`
	Regions       []string `json:"regions"`
	CreatedAt     string   `json:"created_at"`
	MinDiskSize   int      `json:"min_disk_size"`
	SizeGigabytes float64  `json:"size_gigabytes"`
	Description   string   `json:"description"`
	Tags          []string `json:"tags"`
	Status        string   `json:"status"`
}

// regions are a part of DigitalOcean's; sfo2 takes no new droplets.
var regions = sync.OnceValue(func() []regionBody {
	all := []regionBody{
		{Name: "New York 1", Slug: "nyc1"}, {Name: "New York 3", Slug: "nyc3"},
		{Name: "Amsterdam 3", Slug: "ams3"}, {Name: "Singapore 1", Slug: "sgp1"},
		{Name: "London 1", Slug: "lon1"}, {Name: "Frankfurt 1", Slug: "fra1"},
		{Name: "Toronto 1", Slug: "tor1"}, {Name: "Bangalore 1", Slug: "blr1"},
		{Name: "San Francisco 2", Slug: "sfo2"}, {Name: "San Francisco 3", Slug: "sfo3"},
	}
	for i := range all {
		r := &all[i]
		r.Available = r.Slug != "sfo2"
		r.Features = []string{"backups", "ipv6", "metadata", "install_agent", "storage", "image_transfer"}
		r.Sizes = []string{}
		for _, s := range sizes() {
			if slices.Contains(s.Regions, r.Slug) {
				r.Sizes = append(r.Sizes, s.Slug)
			}
		}
	}
	return all
})

// sizes are a part of DigitalOcean's. The smallest is not in every region, and one is
// withdrawn, as there. Prices are in US dollars.
var sizes = sync.OnceValue(func() []sizeBody {
	everywhere := []string{"ams3", "blr1", "fra1", "lon1", "nyc1", "nyc3", "sfo3", "sgp1", "tor1"}
	all := []sizeBody{
		{Slug: "s-1vcpu-512mb-10gb", Memory: 512, VCPUs: 1, Disk: 10, Transfer: 0.5, PriceMonthly: 4, PriceHourly: 0.00595,
			Regions: []string{"ams3", "fra1", "nyc1", "sfo3", "sgp1"}, Description: "Basic"},
		{Slug: "s-1vcpu-1gb", Memory: 1024, VCPUs: 1, Disk: 25, Transfer: 1, PriceMonthly: 6, PriceHourly: 0.00893, Description: "Basic"},
		{Slug: "s-1vcpu-2gb", Memory: 2048, VCPUs: 1, Disk: 50, Transfer: 2, PriceMonthly: 12, PriceHourly: 0.01786, Description: "Basic"},
		{Slug: "s-2vcpu-2gb", Memory: 2048, VCPUs: 2, Disk: 60, Transfer: 3, PriceMonthly: 18, PriceHourly: 0.02679, Description: "Basic"},
		{Slug: "s-2vcpu-4gb", Memory: 4096, VCPUs: 2, Disk: 80, Transfer: 4, PriceMonthly: 24, PriceHourly: 0.03571, Description: "Basic"},
		{Slug: "s-4vcpu-8gb", Memory: 8192, VCPUs: 4, Disk: 160, Transfer: 5, PriceMonthly: 48, PriceHourly: 0.07143, Description: "Basic"},
		{Slug: "c-2", Memory: 4096, VCPUs: 2, Disk: 25, Transfer: 4, PriceMonthly: 42, PriceHourly: 0.0625, Description: "CPU-Optimized"},
		{Slug: "512mb", Memory: 512, VCPUs: 1, Disk: 20, Transfer: 1, PriceMonthly: 5, PriceHourly: 0.00744, Description: "Legacy"},
	}
	for i := range all {
		s := &all[i]
		s.Available = s.Description != "Legacy"
		switch {
		case !s.Available:
			s.Regions = []string{}
		case s.Regions == nil:
			s.Regions = everywhere
		}
		s.DiskInfo = []diskInfo{{Type: "local", Size: diskSize{Amount: s.Disk, Unit: "gib"}}}
	}
	return all
})

// images are those that a relay is likely to run on.
var images = sync.OnceValue(func() []imageBody {
	all := []imageBody{
		{ID: 136464411, Name: "12 x64", Distribution: "Debian", Slug: "debian-12-x64"},
		{ID: 185892104, Name: "13 x64", Distribution: "Debian", Slug: "debian-13-x64"},
		{ID: 129211873, Name: "22.04 (LTS) x64", Distribution: "Ubuntu", Slug: "ubuntu-22-04-x64"},
		{ID: 155133621, Name: "24.04 (LTS) x64", Distribution: "Ubuntu", Slug: "ubuntu-24-04-x64"},
	}
	for i := range all {
		im := &all[i]
		im.Type, im.Public, im.Status, im.CreatedAt = "base", true, "available", "2024-05-01T10:00:00Z"
		im.Regions = []string{"nyc1", "nyc3", "ams3", "sgp1", "lon1", "fra1", "tor1", "blr1", "sfo2", "sfo3"}
		im.MinDiskSize, im.SizeGigabytes, im.Tags = 10, 1.5, []string{}
		im.Description = im.Distribution + " " + im.Name
	}
	return all
})

// sizes are the catalogue at the prices of this cloud.
func (c *Cloud) sizes() []sizeBody {
	all := slices.Clone(sizes())
	for i, s := range all {
		if price, set := c.cfg.Prices[s.Slug]; set {
			all[i].PriceMonthly, all[i].PriceHourly = price, price/hoursPerMonth
		}
	}
	return all
}

// hoursPerMonth is what DigitalOcean bills at most.
const hoursPerMonth = 672

func (c *Cloud) findSize(slug string) (sizeBody, bool) {
	for _, s := range c.sizes() {
		if s.Slug == slug {
			return s, true
		}
	}
	return sizeBody{Slug: slug, Regions: []string{}, Memory: 8, DiskInfo: []diskInfo{}}, false
}

// findRegion takes a slug, or as DigitalOcean does the beginning of one, or nothing: then
// the droplet lands in any region that fits and is open.
func findRegion(slug string) (regionBody, bool) {
	all := regions()
	for _, r := range all {
		if r.Slug == slug {
			return r, true
		}
	}
	for _, r := range all {
		if r.Available && strings.HasPrefix(r.Slug, slug) {
			return r, true
		}
	}
	return regionBody{Name: slug, Slug: slug, Features: []string{}, Sizes: []string{}}, false
}

// findImage takes a slug or an ID in digits.
func findImage(name string) (imageBody, bool) {
	for _, im := range images() {
		if im.Slug == name || strconv.Itoa(im.ID) == name {
			return im, true
		}
	}
	return imageBody{Name: name, Slug: name, Type: "base", Distribution: "Unknown", Status: "retired", CreatedAt: "2014-01-01T00:00:00Z"}, false
}

func listSizes(c *Cloud, q *call) answer   { return page(q, "sizes", c.sizes()) }
func listRegions(_ *Cloud, q *call) answer { return page(q, "regions", regions()) }

func listImages(_ *Cloud, q *call) answer {
	found := images()
	if q.query.Get("private") == "true" || q.query.Get("type") == "application" || q.query.Has("tag_name") {
		found = nil // all of them are public distributions without tags
	}
	return page(q, "images", found)
}

func getImage(_ *Cloud, q *call) answer {
	im, known := findImage(q.params["image_id"])
	if !known {
		return notFound()
	}
	return ok(map[string]any{"image": im})
}
