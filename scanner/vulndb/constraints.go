package vulndb

import (
	"fmt"
	"sync"

	"github.com/quay/claircore"
	"github.com/quay/claircore/libvuln/driver"
	"github.com/quay/claircore/toolkit/types/cpe"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

// constraintSet is a set of match constraints, a bit for each.
type constraintSet uint32

var (
	distConstraints = []driver.MatchConstraint{driver.DistributionDID, driver.DistributionName, driver.DistributionVersion,
		driver.DistributionVersionCodeName, driver.DistributionVersionID, driver.DistributionArch, driver.DistributionCPE,
		driver.DistributionPrettyName}
	knownConstraints = constraintBits(distConstraints...) |
		constraintBits(driver.PackageModule, driver.RepositoryName, driver.RepositoryKey, driver.HasFixedInVersion)
)

func constraintBits(list ...driver.MatchConstraint) (set constraintSet) {
	for _, m := range list {
		set |= 1 << m
	}
	return set
}

func (s constraintSet) has(m driver.MatchConstraint) bool { return s&(1<<m) != 0 }

func (s constraintSet) anyOf(list ...driver.MatchConstraint) bool {
	return s&constraintBits(list...) != 0
}

// check refuses constraints that this store does not know how to meet: matching
// without them would find what is not there.
func (s constraintSet) check() error {
	if unknown := s &^ knownConstraints; unknown != 0 {
		return fmt.Errorf("a matcher asks for an unknown constraint (%b)", unknown)
	}
	return nil
}

// sameDist says whether two distributions are equal in what the set constrains.
// Nothing given counts as a value.
func (s constraintSet) sameDist(a, b *claircore.Distribution) bool {
	for _, field := range []struct {
		constraint driver.MatchConstraint
		a, b       string
	}{
		{driver.DistributionDID, a.DID, b.DID},
		{driver.DistributionName, a.Name, b.Name},
		{driver.DistributionVersion, a.Version, b.Version},
		{driver.DistributionVersionCodeName, a.VersionCodeName, b.VersionCodeName},
		{driver.DistributionVersionID, a.VersionID, b.VersionID},
		{driver.DistributionArch, a.Arch, b.Arch},
		{driver.DistributionPrettyName, a.PrettyName, b.PrettyName},
	} {
		if s.has(field.constraint) && field.a != field.b {
			return false
		}
	}
	return !s.has(driver.DistributionCPE) || sameCPE(a.CPE, b.CPE)
}

// sameCPE compares the bound names: what is not given and what is "any" are
// one and the same there.
func sameCPE(a, b cpe.WFN) bool {
	x, errX := cpeText(a)
	y, errY := cpeText(b)
	return errX == nil && errY == nil && x == y
}

// distList remembers the distributions, of which there are some hundred. They
// never change.
type distList struct {
	mutex sync.Mutex
	dists []namedDist // by id
}

type namedDist struct {
	id int64
	claircore.Distribution
}

// load returns all distributions, reading those that are new.
func (l *distList) load(c *dbfile.Conn) ([]namedDist, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var newest int64
	if n := len(l.dists); n > 0 {
		newest = l.dists[n-1].id
	}
	fresh, err := dbfile.List(c, `SELECT id, did, name, version, version_code_name, version_id, arch, cpe, pretty_name FROM dist WHERE id > ? ORDER BY id`,
		[]any{newest}, func(row dbfile.Row) (d namedDist, err error) {
			return d, row.Scan(&d.id, &d.DID, &d.Name, &d.Version, &d.VersionCodeName, &d.VersionID, &d.Arch, &d.CPE, &d.PrettyName)
		})
	if err == nil {
		l.dists = append(l.dists[:len(l.dists):len(l.dists)], fresh...)
	}
	return l.dists, err
}
