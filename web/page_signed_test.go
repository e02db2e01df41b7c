package web

import (
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// Nothing but a signature that was verified and has not ended makes the mark of a
// signed image.
func TestSignatureMark(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	fact := func(kind core.TrustKind, signer string, until time.Duration) core.TrustFact {
		f := core.TrustFact{Kind: kind, Signer: signer}
		if until != 0 {
			f.ValidUntil = now.Add(until)
		}
		return f
	}
	ctx := i18n.With(t.Context(), "en")
	for _, test := range []struct {
		name, state, signers, kinds string
		until                       time.Time
		signed                      app.Signed
	}{
		{"nothing", "unsigned", "", "", time.Time{}, app.Signed{}},
		{"what does not verify", "invalid", "", "", time.Time{}, app.Signed{Invalid: 2}},
		{"what has ended", "expired", "ci", "cosign", now, app.Signed{Invalid: 1, Facts: []core.TrustFact{fact(core.TrustCosign, "ci", -time.Hour), {Kind: core.TrustCosign, Signer: "ci", ValidUntil: now}}}},
		{"one that counts", "signed", "ci", "cosign", now.Add(time.Hour), app.Signed{Invalid: 1, Facts: []core.TrustFact{fact(core.TrustCosign, "ci", time.Hour), fact(core.TrustNotation, "old", -time.Hour)}}},
		{"without end", "signed", "ci", "cosign", time.Time{}, app.Signed{Facts: []core.TrustFact{fact(core.TrustCosign, "ci", time.Hour), fact(core.TrustCosign, "ci", 0)}}},
		{"people before keys", "signed", "alice, bob", "Notary", now.Add(2 * time.Hour), app.Signed{Facts: []core.TrustFact{fact(core.TrustNotary, "root", time.Hour),
			fact(core.TrustNotary, "bob", time.Hour), fact(core.TrustNotary, "releases", time.Hour), fact(core.TrustNotary, "alice", 2*time.Hour)}}},
		{"keys alone", "signed", "releases, root", "Notary", now.Add(time.Hour), app.Signed{Facts: []core.TrustFact{fact(core.TrustNotary, "root", time.Hour), fact(core.TrustNotary, "releases", time.Hour)}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := signatureMark(ctx, test.signed, now)
			if m.State != test.state || m.Signers != test.signers || m.Kinds != test.kinds || !m.Until.Equal(test.until) {
				t.Errorf("mark = %+v, want %s by %q (%s) until %s", m, test.state, test.signers, test.kinds, test.until)
			}
		})
	}
}
