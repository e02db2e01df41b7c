package fsck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry"
	"github.com/breakwater-registry/breakwater/store"
)

// manifests compares every row of a manifest with its content.
func (r *run) manifests(ctx context.Context) error {
	r.Progress.Phase("manifests", 0, false)
	if err := r.detached(ctx); err != nil {
		return err
	}
	return each(ctx, r, r.checks.Manifests, func(m store.CheckedManifest) int64 { return m.ID }, r.manifest)
}

// detached looks for manifests whose row does not name their content.
func (r *run) detached(ctx context.Context) error {
	found, err := r.checks.Detached(ctx)
	if err != nil {
		return err
	}
	for _, m := range found {
		p := Problem{Subject: m.Repository + "@" + m.Digest, Text: "its row names no content or that of another manifest"}
		if r.Repair {
			spares, err := r.spares(ctx, []string{m.Digest})
			if err != nil {
				return err
			}
			if err := r.checks.Attach(ctx, m, spares); err != nil {
				return err
			}
			p.Repair = "corrected"
		}
		r.report(p)
	}
	return nil
}

func (r *run) manifest(ctx context.Context, row store.CheckedManifest) error {
	r.Progress.Add(1)
	r.mu.Lock()
	r.result.Manifests++
	r.mu.Unlock()
	if row.Damaged || row.Blob.Digest != row.Digest {
		return nil // it has been reported
	}
	body, err := readManifest(ctx, r.Checker, row.Blob)
	if err != nil {
		return err
	}
	if body == nil {
		return r.unreadable(ctx, row)
	}
	m, err := parse(body, row.MediaType)
	if err != nil {
		r.report(Problem{Subject: nameOf(row), Text: fmt.Sprintf("its content is not a manifest: %v", err)})
		return nil
	}
	wrong := differences(row, m)
	if len(wrong) == 0 || !r.same(ctx, row) {
		return nil
	}
	return r.correct(ctx, row, m, wrong)
}

// unreadable handles a manifest without its content. Its blob has been reported,
// unless a fast check did not read it.
func (r *run) unreadable(ctx context.Context, row store.CheckedManifest) error {
	size, exists, err := r.Blobs.Stat(ctx, fileOf(row.Blob))
	if err == nil && r.Fast && exists && size == row.Blob.Size {
		r.report(Problem{Subject: nameOf(row), Text: "its file does not have its digest; check without --fast"})
	}
	return err
}

// same says whether the manifest was not removed while it was being looked at.
func (r *run) same(ctx context.Context, row store.CheckedManifest) bool {
	if !r.Beside {
		return true
	}
	_, err := r.checks.Manifest(ctx, row.ID)
	return err == nil
}

func nameOf(row store.CheckedManifest) string { return row.Repository + "@" + row.Digest }

// readManifest returns the content of a manifest, nil when the file does not
// have it.
func readManifest(ctx context.Context, c *Checker, b core.Blob) ([]byte, error) {
	b.Size = min(b.Size, registry.MaxManifest)
	body, err := registry.Content{Blobs: c.Blobs}.ReadBlob(ctx, b, registry.MaxManifest)
	if core.IsNotFound(err) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d := digest.Digest(b.Digest)
	if d.Algorithm().FromBytes(body) != d {
		return nil, nil
	}
	return body, nil
}

// parse reads a manifest that was sent as mediaType, or as something else when
// that cannot have been.
func parse(body []byte, mediaType string) (core.Manifest, error) {
	m, err := registry.ParseManifest(body, mediaType)
	if err != nil {
		if own, e := registry.ParseManifest(body, ""); e == nil {
			return own, nil
		}
	}
	return m, err
}

// differences tells what the row says otherwise than the content.
func differences(row store.CheckedManifest, m core.Manifest) (wrong []string) {
	for _, field := range []struct{ name, row, content string }{
		{"media type", row.MediaType, m.MediaType}, {"artifact type", row.ArtifactType, m.ArtifactType},
		{"config", row.Config, m.Config}, {"type", row.Kind, m.Kind}, {"subject", row.Subject, m.Subject},
		{"size", fmt.Sprint(row.Size), fmt.Sprint(m.Size)},
	} {
		if field.row != field.content {
			wrong = append(wrong, fmt.Sprintf("its row has the %s %q, its content %q", field.name, field.row, field.content))
		}
	}
	if !maps.Equal(row.Annotations, m.Annotations) {
		wrong = append(wrong, "its row has other annotations than its content")
	}
	return append(wrong, wrongLinks(row, m)...)
}

func wrongLinks(row store.CheckedManifest, m core.Manifest) (wrong []string) {
	used, total := map[string]bool{}, int64(0)
	for _, b := range row.Blobs {
		used[b.Digest] = true
		total += b.Size
	}
	wanted := map[string]bool{row.Digest: true}
	for _, d := range m.Blobs {
		wanted[d.Digest] = true
	}
	listed, children := map[string]bool{}, map[string]bool{}
	for _, d := range row.Children {
		listed[d] = true
	}
	for _, d := range m.Children {
		children[d.Digest] = true
	}
	wrong = append(compare("uses the blob", wanted, used), compare("lists the manifest", children, listed)...)
	if len(wrong) == 0 && row.TotalSize != total {
		wrong = append(wrong, fmt.Sprintf("its row has the total size %d instead of %d", row.TotalSize, total))
	}
	return wrong
}

func compare(verb string, content, row map[string]bool) (wrong []string) {
	for _, d := range slices.Sorted(maps.Keys(content)) {
		if !row[d] {
			wrong = append(wrong, fmt.Sprintf("its content %s %s, its rows do not", verb, d))
		}
	}
	for _, d := range slices.Sorted(maps.Keys(row)) {
		if !content[d] {
			wrong = append(wrong, fmt.Sprintf("its rows say that it %s %s, its content does not", verb, d))
		}
	}
	return wrong
}

func (r *run) correct(ctx context.Context, row store.CheckedManifest, m core.Manifest, wrong []string) error {
	p := Problem{Subject: nameOf(row), Text: strings.Join(wrong, "; ")}
	if r.Repair {
		spares, err := r.spares(ctx, unused(row, m))
		if err != nil {
			return err
		}
		left, err := r.checks.CorrectManifest(ctx, row.ID, m, spares)
		if err != nil {
			return err
		}
		p.Repair = "the rows are corrected"
		if len(left) > 0 {
			p.Repair, p.Text = "", p.Text+"; push "+strings.Join(left, ", ")+" again and then this index"
		}
	}
	r.report(p)
	return nil
}

// unused lists the blobs that the manifest names and does not use.
func unused(row store.CheckedManifest, m core.Manifest) (digests []string) {
	used := map[string]bool{}
	for _, b := range row.Blobs {
		used[b.Digest] = true
	}
	for _, d := range append(slices.Clone(m.Blobs), core.Descriptor{Digest: row.Digest}) {
		if !used[d.Digest] {
			digests = append(digests, d.Digest)
		}
	}
	return digests
}

// spares finds whole files of the blobs that no row knows.
func (r *run) spares(ctx context.Context, digests []string) (app.Spare, error) {
	found := map[string]core.Blob{}
	for _, digest := range digests {
		file, ok, err := r.spare(ctx, digest)
		if err != nil {
			return nil, err
		}
		if ok {
			found[digest] = file
		}
	}
	return func(digest string) (core.Blob, bool) {
		file, ok := found[digest]
		return file, ok
	}, nil
}

// tags looks for tags that point at nothing of their repository.
func (r *run) tags(ctx context.Context) error {
	r.Progress.Phase("tags", 0, false)
	return each(ctx, r, r.checks.Tags, func(t store.CheckedTag) int64 { return t.ID }, r.tag)
}

func (r *run) tag(ctx context.Context, t store.CheckedTag) error {
	r.Progress.Add(1)
	r.mu.Lock()
	r.result.Tags++
	r.mu.Unlock()
	if t.Digest != "" && !t.Elsewhere {
		return nil
	}
	p := Problem{Subject: t.Repository + ":" + t.Name, Text: "points at a manifest that does not exist; push it again or delete it"}
	if t.Elsewhere {
		p.Text = "points at a manifest of another repository; push it again or delete it"
		if r.Repair {
			corrected, err := r.checks.CorrectTag(ctx, t)
			if err != nil {
				return err
			}
			if corrected {
				p.Repair = "points at the same manifest in its own repository"
			}
		}
	}
	r.report(p)
	return nil
}

// sums recounts what is kept beside the rows it sums up.
func (r *run) sums(ctx context.Context) error {
	r.Progress.Phase("quotas and links", 0, false)
	wrong, err := r.checks.Sums(ctx)
	if err != nil {
		return err
	}
	var all []Problem
	for _, d := range wrong.Quotas {
		all = append(all, Problem{Subject: "project " + d.Name, Text: fmt.Sprintf("pays for %d bytes, but uses %d", d.Stored, d.Actual)})
	}
	for _, d := range wrong.Artifacts {
		all = append(all, Problem{Subject: "repository " + d.Name, Text: fmt.Sprintf("counts %d artifacts, but has %d", d.Stored, d.Actual)})
	}
	for _, repo := range wrong.Hidden {
		all = append(all, Problem{Subject: "repository " + repo.Name, Text: "has artifacts, but is not shown"})
	}
	for _, u := range wrong.Links {
		all = append(all, Problem{Subject: u.Repository + "@" + u.Digest, Text: "its blob " + u.Blob + " has no link in the repository and cannot be pulled"})
	}
	for _, u := range wrong.Misplaced {
		all = append(all, Problem{Subject: u.Repository + "@" + u.Digest, Text: "its blob " + u.Blob + " is counted for another repository"})
	}
	if r.Repair && len(all) > 0 {
		if err := r.checks.CorrectSums(ctx); err != nil {
			return err
		}
	}
	for _, p := range all {
		if r.Repair {
			p.Repair = "corrected"
		}
		r.report(p)
	}
	return nil
}
