// Package synthetic makes vulnerabilities that nobody has, to measure with.
package synthetic

import (
	"fmt"
	"strings"
	"time"

	"github.com/quay/claircore"
	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/toolkit/types"
)

// Packages is how many packages the vulnerabilities are of: package-0 to
// package-2999.
const Packages = 3000

// Repository is the key of the repositories that the packages are in.
const Repository = "rhel-cpe-repository"

const (
	products = 40
	perCVE   = 20
)

// Vulnerabilities yields n rows shaped as Red Hat's: each CVE affects some packages in
// several products, with a long description. The first changed of them have
// another fix.
func Vulnerabilities(updater string, n, changed int) datastore.VulnerabilityIter {
	return func(yield func(*claircore.Vulnerability, error) bool) {
		for i := range n {
			if !yield(vulnerability(updater, i, i < changed), nil) {
				return
			}
		}
	}
}

func vulnerability(updater string, i int, changed bool) *claircore.Vulnerability {
	cve, n := i/perCVE, i%perCVE
	fixed := fmt.Sprintf("0:%d.%d-%d.el8", n%4+1, cve%90, n)
	if changed {
		fixed += "_1"
	}
	name := fmt.Sprintf("CVE-%d-%05d", 2000+cve/50_000, cve%50_000)
	return &claircore.Vulnerability{Updater: updater, Name: name,
		Description: strings.Repeat("A flaw was found in "+name+" in the way that the package handles its input. ", 4),
		Issued:      time.Unix(1_500_000_000+int64(cve)*1000, 0), Links: "https://access.redhat.com/security/cve/" + name + " https://www.cve.org/CVERecord?id=" + name,
		Severity: "moderate", NormalizedSeverity: claircore.Medium, FixedInVersion: fixed, ArchOperation: claircore.OpPatternMatch,
		Package: &claircore.Package{Name: fmt.Sprintf("package-%d", (cve*7+n/4)%Packages), Kind: types.BinaryPackage, Arch: "aarch64|ppc64le|s390x|x86_64"},
		Repo:    &claircore.Repository{Name: fmt.Sprintf("cpe:2.3:o:redhat:enterprise_linux:%d:*:*:*:*:*:*:*", (cve+n)%products), Key: Repository}}
}
