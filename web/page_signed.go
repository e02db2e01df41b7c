package web

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// The signers of Notary that stand for keys and not for people.
const (
	signerRoot      = "root"       // which vouches for all others
	signerReleases  = "releases"   // docker's delegation of released tags
	signerRepoAdmin = "Repo Admin" // whoever holds the key of the repository
)

// signerNames are the people in facts or, where there are none, the keys.
func signerNames(ctx context.Context, facts []core.TrustFact) string {
	var people, keys []string
	for _, fact := range facts {
		switch fact.Signer {
		case signerRoot, signerReleases:
			keys = append(keys, fact.Signer)
		case signerRepoAdmin:
			people = append(people, i18n.T(ctx, "signed.repo-admin"))
		default:
			people = append(people, core.Clip(fact.Signer, 120))
		}
	}
	if len(people) == 0 {
		people = keys
	}
	slices.Sort(people)
	return strings.Join(slices.Compact(people), ", ")
}

func kindName(ctx context.Context, kind core.TrustKind) string {
	return i18n.T(ctx, "signed.kind."+string(kind))
}

func kindNames(ctx context.Context, facts []core.TrustFact) string {
	var names []string
	for _, fact := range facts {
		names = append(names, kindName(ctx, fact.Kind))
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// signatureMark is what a list shows. What does not verify is no mark of its own
// beside a signature that does: the artifact's page tells of each.
func signatureMark(ctx context.Context, s app.Signed, now time.Time) ui.SignatureMark {
	valid := slices.DeleteFunc(slices.Clone(s.Facts), func(f core.TrustFact) bool { return !f.Valid(now) })
	m := ui.SignatureMark{State: "unsigned"}
	facts := valid
	switch {
	case len(valid) > 0:
		m.State = "signed"
	case len(s.Facts) > 0:
		m.State, facts = "expired", s.Facts
	case s.Invalid > 0:
		m.State = "invalid"
	}
	m.Signers, m.Kinds = signerNames(ctx, facts), kindNames(ctx, facts)
	for i, fact := range facts {
		if fact.ValidUntil.IsZero() {
			m.Until = time.Time{}
			break
		}
		if i == 0 || fact.ValidUntil.After(m.Until) {
			m.Until = fact.ValidUntil
		}
	}
	return m
}

// shownSignatures is how many signatures of cosign and notation a page shows.
const shownSignatures = 50

// signaturesCard lists each signature of an artifact with what became of it.
func (h *api) signaturesCard(c echo.Context, a app.OpenedArtifact) (ui.SignaturesView, error) {
	ctx := c.Request().Context()
	view := ui.SignaturesView{Rows: notaryRows(ctx, a), Trust: repositoryURL(a.Repository.Name, "trust")}
	list, total, err := h.app.Signatures(ctx, caller(c), a.Repository.Name, a.Digest, core.Query{Page: 1, PageSize: shownSignatures})
	if err != nil {
		return view, err
	}
	for _, s := range list {
		view.Rows = append(view.Rows, signatureRow(ctx, a, s))
	}
	view.More = total - int64(len(list))
	view.Rows = append(view.Rows, indexRows(ctx, a)...)
	return view, nil
}

// signatureState is the state of a mark in the words of the pages.
func signatureState(status core.SignatureStatus) string {
	switch status {
	case core.SignatureVerified:
		return "signed"
	case core.SignatureExpired:
		return "expired"
	}
	return "invalid"
}

func signatureRow(ctx context.Context, a app.OpenedArtifact, s core.Signature) ui.SignatureRow {
	return ui.SignatureRow{State: signatureState(s.Status(time.Now())), Kind: kindName(ctx, s.Kind), Signer: core.Clip(s.Signer, 200), Key: core.Clip(s.KeyID, 100),
		At: s.SignedAt, Until: s.ValidUntil, Reason: sentence(core.Clip(s.Reason, 500)),
		Manifest: &ui.Link{Href: repositoryURL(a.Repository.Name, "artifacts", s.Manifest), Label: s.Manifest}}
}

// notaryRows are the tags of the artifact that Notary's signers have signed.
func notaryRows(ctx context.Context, a app.OpenedArtifact) []ui.SignatureRow {
	own := slices.DeleteFunc(slices.Clone(a.Sign.Facts), func(f core.TrustFact) bool { return f.Kind != core.TrustNotary || f.Digest != a.Digest })
	return factRows(ctx, own, func(f core.TrustFact) string { return f.Tag })
}

// indexRows are the signatures of the indexes that list the artifact.
func indexRows(ctx context.Context, a app.OpenedArtifact) []ui.SignatureRow {
	above := slices.DeleteFunc(slices.Clone(a.Sign.Facts), func(f core.TrustFact) bool { return f.Digest == a.Digest })
	var rows []ui.SignatureRow
	for _, index := range groups(above, func(f core.TrustFact) string { return f.Digest }) {
		more := factRows(ctx, index, func(f core.TrustFact) string { return string(f.Kind) + f.Tag })
		for i := range more {
			more[i].Index = &ui.Link{Href: repositoryURL(a.Repository.Name, "artifacts", index[0].Digest), Label: index[0].Digest}
		}
		rows = append(rows, more...)
	}
	return rows
}

// groups puts together the facts of which key is the same, in their order.
func groups(facts []core.TrustFact, key func(core.TrustFact) string) (all [][]core.TrustFact) {
	at := map[string]int{}
	for _, fact := range facts {
		i, known := at[key(fact)]
		if !known {
			i = len(all)
			at[key(fact)], all = i, append(all, nil)
		}
		all[i] = append(all[i], fact)
	}
	return all
}

// factRows are rows of facts, one for all of which key is the same.
func factRows(ctx context.Context, facts []core.TrustFact, key func(core.TrustFact) string) []ui.SignatureRow {
	var rows []ui.SignatureRow
	for _, group := range groups(facts, key) {
		mark := signatureMark(ctx, app.Signed{Facts: group}, time.Now())
		row := ui.SignatureRow{State: mark.State, Kind: kindName(ctx, group[0].Kind), Signer: mark.Signers, Tag: group[0].Tag, Until: mark.Until, At: group[0].SignedAt}
		if len(group) == 1 {
			row.Key = core.Clip(group[0].KeyID, 100)
		}
		rows = append(rows, row)
	}
	return rows
}
