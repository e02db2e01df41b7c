package core

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// ResFeed is the CVE feeds, a resource of the system.
const ResFeed Resource = "feed"

// FeedSource is one address that a feed reads from. One that ends with a slash
// is a folder, below which a mirror has the same paths as the upstream.
type FeedSource struct {
	Name string // unique within the feed
	URL  string // upstream
}

// FeedSet is a kind of CVE data that the scanner can read.
type FeedSet struct {
	Name       string
	Title      string
	Default    bool // on in a new installation
	Enrichment bool // it adds to findings and makes none
	Sources    []FeedSource
}

// feedSets are all feeds, in the order in which they are shown.
var feedSets = []FeedSet{
	{Name: "debian", Title: "Debian Security Tracker", Default: true, Sources: []FeedSource{
		{"tracker", "https://security-tracker.debian.org/tracker/data/json"}, {"archive", "https://deb.debian.org/debian/"}}},
	{Name: "ubuntu", Title: "Ubuntu OVAL", Default: true, Sources: []FeedSource{
		{"launchpad", "https://api.launchpad.net/1.0/"}, {"oval", "https://security-metadata.canonical.com/oval/"}}},
	{Name: "redhat", Title: "Red Hat VEX", Default: true, Sources: []FeedSource{
		{"vex", "https://security.access.redhat.com/data/csaf/v2/vex/"}, {"metrics", "https://security.access.redhat.com/data/metrics/"}}},
	{Name: "oracle", Title: "Oracle Linux OVAL", Default: true, Sources: []FeedSource{{"oval", "https://linux.oracle.com/security/oval/"}}},
	{Name: "alpine", Title: "Alpine SecDB", Default: true, Sources: []FeedSource{{"secdb", "https://secdb.alpinelinux.org/"}}},
	{Name: "nvd", Title: "NVD (CVSS)", Default: true, Enrichment: true, Sources: []FeedSource{{"cve", "https://nvd.nist.gov/feeds/json/cve/2.0/"}}},
	{Name: "suse", Title: "SUSE OVAL", Sources: []FeedSource{{"oval", "https://ftp.suse.com/pub/projects/security/oval/"}}},
	{Name: "photon", Title: "Photon OS OVAL", Sources: []FeedSource{{"oval", "https://packages.vmware.com/photon/photon_oval_definitions/"}}},
	{Name: "amazon", Title: "Amazon Linux", Sources: []FeedSource{
		{"cdn", "https://cdn.amazonlinux.com/"}, {"al1", "http://repo.us-west-2.amazonaws.com/"}}},
	{Name: "osv", Title: "OSV (Go, Python, Java, Ruby, Node.js, ...)", Sources: []FeedSource{{"osv", "https://osv-vulnerabilities.storage.googleapis.com/"}}},
	{Name: "kev", Title: "CISA Known Exploited Vulnerabilities", Enrichment: true, Sources: []FeedSource{
		{"catalog", "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"}}},
	{Name: "epss", Title: "EPSS", Enrichment: true, Sources: []FeedSource{{"scores", "https://epss.cyentia.com/"}}},
}

// FeedSets lists all feeds, in the order in which they are shown.
func FeedSets() []FeedSet { return slices.Clone(feedSets) }

// FindFeedSet returns the feed of that name; CodeNotFound when there is none.
func FindFeedSet(name string) (FeedSet, error) {
	if i := slices.IndexFunc(feedSets, func(s FeedSet) bool { return s.Name == name }); i >= 0 {
		return feedSets[i], nil
	}
	names := make([]string, len(feedSets))
	for i, s := range feedSets {
		names[i] = s.Name
	}
	return FeedSet{}, Errorf(CodeNotFound, "there is no feed %q; the feeds are %s", Clip(name, 32), strings.Join(names, ", "))
}

// Source returns the source of that name; CodeBadRequest when there is none.
func (s FeedSet) Source(name string) (FeedSource, error) {
	names := make([]string, len(s.Sources))
	for i, source := range s.Sources {
		if source.Name == name {
			return source, nil
		}
		names[i] = source.Name
	}
	return FeedSource{}, Errorf(CodeBadRequest, "the feed %s has no source %q; its sources are %s", s.Name, Clip(name, 32), strings.Join(names, ", "))
}

// FeedOrigin says where the data of a feed came from.
type FeedOrigin string

// The origins.
const (
	FeedFetched  FeedOrigin = "fetched"
	FeedImported FeedOrigin = "imported"
)

// Feed is a feed with its settings and its state.
type Feed struct {
	FeedSet
	Enabled     bool
	URLs        map[string]string // own addresses by the name of the source; the others are upstream
	AttemptedAt time.Time         // zero: never
	SucceededAt time.Time         // when the source was last read with all parts; zero: never
	ChangedAt   time.Time         // when new data came last; zero: never
	Records     int64
	Origin      FeedOrigin
	Error       string // of the last run, empty when it succeeded
}

// URL returns the address in use of a source.
func (f Feed) URL(s FeedSource) string {
	if own := f.URLs[s.Name]; own != "" {
		return own
	}
	return s.URL
}

// FeedStaleAfter is how old the data of a feed may be.
const FeedStaleAfter = 72 * time.Hour

// Stale says whether the feed is on and has not reported for too long, or
// never: then a scan may miss what is known elsewhere.
func (f Feed) Stale(now time.Time) bool {
	return f.Enabled && now.Sub(f.SucceededAt) > FeedStaleAfter
}

// FeedPart is one database of a feed, such as that of one release.
type FeedPart struct {
	Name        string
	Records     int64
	AttemptedAt time.Time // before that of its feed: the source does not offer it any more, and its data stays
	SucceededAt time.Time // zero: never
	ChangedAt   time.Time
	Fingerprint string
	Error       string
}

// FeedResult is how one run over a feed went.
type FeedResult struct {
	Feed   string
	Origin FeedOrigin
	ReadAt time.Time // when the source was read; zero: now
	Error  string    // what kept all parts from being looked at
	Parts  []FeedPartResult
}

// FeedPartResult is how a run went for one part.
type FeedPartResult struct {
	Name        string
	Changed     bool
	Records     int64 // of the part now; meaningless unless Changed
	Fingerprint string
	Error       string
}

const maxFeedURL = 512

// CheckFeedURL says why text cannot be the address of a feed's source: it must
// be http or https with a host, and without credentials, which everybody would
// see who may see the setting.
func CheckFeedURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxFeedURL || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.Opaque != "":
		return Errorf(CodeBadRequest, "the address %q must look like https://HOST/FOLDER/", Clip(text, 128))
	case u.User != nil:
		return Errorf(CodeBadRequest, "the address of a feed cannot hold a password; use a mirror that answers without one")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return Errorf(CodeBadRequest, "the address %q must not have a query or a fragment", Clip(text, 128))
	}
	return nil
}

// maxFeedError bounds what is kept of an error, in bytes.
const maxFeedError = 1000

// Summary tells in one line what went wrong in a run, "" when nothing did.
func (r FeedResult) Summary() string {
	var failed []string
	for _, part := range r.Parts {
		if part.Error != "" {
			failed = append(failed, part.Name+": "+part.Error)
		}
	}
	text := strings.Join(failed, "; ")
	switch {
	case r.Error != "":
		text = r.Error
	case len(failed) > 1:
		text = fmt.Sprintf("%d of %d parts failed: %s", len(failed), len(r.Parts), text)
	}
	return Clip(text, maxFeedError)
}
