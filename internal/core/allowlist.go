package core

import (
	"regexp"
	"slices"
	"time"
)

// CVEAllowlist names vulnerabilities that do not count against an image, in
// one project or, where ProjectID is 0, in all that use the registry's list.
type CVEAllowlist struct {
	ProjectID int64
	Items     []string  // sorted ids, each once
	ExpiresAt time.Time // from then on nothing is allowed; zero: never
	CreatedAt time.Time
	UpdatedAt time.Time
}

// maxAllowlist bounds the ids of one allowlist.
const maxAllowlist = 10_000

// vulnerabilityID is the form of CVE-2021-44228, RHSA-2020:1234, GHSA-xxxx-....
var vulnerabilityID = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(?:[-:._][A-Za-z0-9]+)+$`)

// Validate sorts the items and checks them, and that none is there twice.
func (l *CVEAllowlist) Validate() error {
	if len(l.Items) > maxAllowlist {
		return Errorf(CodeBadRequest, "a CVE allowlist has at most %d items; raise the severity threshold instead", maxAllowlist)
	}
	l.Items = slices.Sorted(slices.Values(l.Items))
	for i, id := range l.Items {
		if len(id) > 64 || !vulnerabilityID.MatchString(id) {
			return Errorf(CodeBadRequest, "%q is no id of a vulnerability such as CVE-2021-44228", Clip(id, 64))
		}
		if i > 0 && l.Items[i-1] == id {
			return Errorf(CodeBadRequest, "duplicate CVE ID in the allowlist: %s", id)
		}
	}
	return nil
}

// Allows says whether the vulnerability does not count at that time.
func (l CVEAllowlist) Allows(id string, now time.Time) bool {
	if !l.ExpiresAt.IsZero() && !now.Before(l.ExpiresAt) {
		return false
	}
	_, found := slices.BinarySearch(l.Items, id)
	return found
}
