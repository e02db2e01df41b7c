package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/policy"
)

var (
	byNotary = core.TrustFact{Kind: core.TrustNotary, Tag: "v1", KeyID: "n", Signer: "alice"}
	byCosign = core.TrustFact{Kind: core.TrustCosign, KeyID: "c", Signer: "build"}
)

func signed(tag string, facts ...core.TrustFact) policy.Facts {
	return policy.Facts{Name: "p/app:" + tag, Tag: tag, Kind: core.KindImage, Trust: facts}
}

func TestWhichSignaturesCount(t *testing.T) {
	ended, ends := byCosign, byCosign
	ended.ValidUntil, ends.ValidUntil = now, now.Add(time.Second)
	notary, cosign := policy.Trust{core.TrustNotary: nil}, policy.Trust{core.TrustCosign: nil}
	only := func(s policy.Signer) policy.Trust { return policy.Trust{core.TrustCosign: {s}} }
	for name, test := range map[string]struct {
		facts policy.Facts
		trust policy.Trust
		ok    bool
	}{
		"none asked for":          {signed("v1"), nil, true},
		"unsigned":                {signed("v1"), notary, false},
		"the signed tag":          {signed("v1", byNotary), notary, true},
		"another tag":             {signed("v2", byNotary), notary, false},
		"by digest, any tag":      {signed("", byNotary), notary, true},
		"a signature of no tag":   {signed("v2", byCosign), cosign, true},
		"another kind":            {signed("v1", byNotary), cosign, false},
		"one of two kinds":        {signed("v1", byNotary), policy.Trust{core.TrustNotary: nil, core.TrustCosign: nil}, true},
		"expired":                 {signed("v1", ended), cosign, false},
		"not yet expired":         {signed("v1", ends), cosign, true},
		"the trusted key":         {signed("v1", byCosign), only(policy.Signer{KeyID: "c"}), true},
		"another key":             {signed("v1", byCosign), only(policy.Signer{KeyID: "d"}), false},
		"the trusted signer":      {signed("v1", byCosign), only(policy.Signer{Name: "build"}), true},
		"a signer named as a key": {signed("v1", byCosign), only(policy.Signer{KeyID: "build"}), false},
		"key and signer":          {signed("v1", byCosign), only(policy.Signer{KeyID: "c", Name: "other"}), false},
		"a signer without names":  {signed("v1", byCosign), only(policy.Signer{Title: "build"}), false},
	} {
		t.Run(name, func(t *testing.T) {
			want := policy.ReasonUnsigned
			if test.ok {
				want = ""
			}
			check(t, test.facts, policy.Project{Trust: test.trust}, want)
		})
	}
}

func TestSignedIndex(t *testing.T) {
	p := policy.Project{Trust: policy.Trust{core.TrustNotary: nil, core.TrustCosign: nil}}
	index := func(tag string, own []core.TrustFact, children ...policy.Facts) policy.Facts {
		return policy.Facts{Tag: tag, Kind: core.KindImage, Index: true, Trust: own, Children: children}
	}
	child := signed("")
	check(t, index("v1", []core.TrustFact{byNotary}, child), p, "")
	check(t, index("v2", []core.TrustFact{byNotary}, child), p, policy.ReasonUnsigned)
	check(t, index("v2", []core.TrustFact{byCosign}, child), p, "")
	check(t, index("v1", nil, child), p, policy.ReasonUnsigned)
	check(t, index("v1", nil, signed("", byCosign)), p, "")
	check(t, index("", nil, signed("", byNotary)), p, "")
	// The tag is signed for the child, not for the index that it names now.
	check(t, index("v1", nil, signed("", byNotary)), p, policy.ReasonUnsigned)

	child.IndexTrust = []core.TrustFact{byNotary}
	check(t, child, p, "")
	child.Tag = "v1" // the index was signed under that name, not what the tag names now
	check(t, child, p, policy.ReasonUnsigned)
	child.IndexTrust = []core.TrustFact{byCosign}
	check(t, child, p, "")
}

func TestTextOfUnsignedImage(t *testing.T) {
	v := policy.Decide(signed("v1"), policy.Project{Trust: policy.Trust{core.TrustNotary: {{Name: "alice"}}}}, now)
	if v.Message != "The image is not signed in Notary." {
		t.Errorf("text = %q", v.Message)
	}
	p := policy.Project{Trust: policy.Trust{core.TrustNotary: nil, core.TrustCosign: {{KeyID: "c", Title: "build key"}, {KeyID: "d"}}}}
	old := byCosign
	old.ValidUntil = now
	v = policy.Decide(signed("v1", old), p, now)
	const want = "The image p/app:v1 is not signed as this project asks for: with cosign by build key or d, or with Notary by any trusted key." +
		" A signature by build was valid until 2026-11-01T12:00:00Z."
	if v.Message != want {
		t.Errorf("text = %q", v.Message)
	}
	many := make([]policy.Signer, 9)
	for i := range many {
		many[i].KeyID = strings.Repeat("k", i+1)
	}
	v = policy.Decide(signed("v1"), policy.Project{Trust: policy.Trust{core.TrustNotation: many}}, now)
	if !strings.Contains(v.Message, "with notation by k, kk, kkk, kkkk, kkkkk or 4 others.") {
		t.Errorf("text = %q", v.Message)
	}
}

// Trust comes first, as in Harbor: what is unsigned is not told apart by its
// vulnerabilities.
func TestUnsignedAndVulnerable(t *testing.T) {
	p := policy.Project{Prevent: true, Threshold: core.SeverityLow, Trust: policy.Trust{core.TrustNotary: nil}}
	f := scanned(finding(core.SeverityHigh))
	check(t, f, p, policy.ReasonUnsigned)
	f.Trust = []core.TrustFact{byNotary}
	check(t, f, p, policy.ReasonVulnerable)
	f.Scan.Findings = nil
	check(t, f, p, "")
}
