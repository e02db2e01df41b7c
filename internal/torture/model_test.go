package torture_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// blob is content with its digest.
type blob struct {
	digest string
	data   []byte
}

func newBlob(data []byte) blob {
	sum := sha256.Sum256(data)
	return blob{"sha256:" + hex.EncodeToString(sum[:]), data}
}

// image is a manifest with the content that it refers to: blobs, or the images
// of an index.
type image struct {
	blob
	mediaType string
	blobs     []blob
	children  []*image
}

// state is what a repository holds: tags with the digests they name, and the
// manifests. A state is never changed, only replaced.
type state struct {
	tags   map[string]string
	images map[string]*image
}

// with is the state after a push; an empty tag is none.
func (s state) with(img *image, tag string) state {
	next := state{maps.Clone(s.tags), maps.Clone(s.images)}
	next.images[img.digest] = img
	if tag != "" {
		next.tags[tag] = img.digest
	}
	return next
}

func (s state) withoutTag(tag string) state {
	next := state{maps.Clone(s.tags), s.images}
	delete(next.tags, tag)
	return next
}

// withoutImage is the state after a manifest was deleted, its tags with it.
func (s state) withoutImage(digest string) state {
	next := state{maps.Clone(s.tags), maps.Clone(s.images)}
	maps.DeleteFunc(next.tags, func(_, d string) bool { return d == digest })
	delete(next.images, digest)
	return next
}

// loose are the manifests that no index holds and that may be deleted.
func (s state) loose() []string {
	held := map[string]bool{}
	for _, img := range s.images {
		for _, child := range img.children {
			held[child.digest] = true
		}
	}
	digests := slices.Sorted(maps.Keys(s.images))
	return slices.DeleteFunc(digests, func(d string) bool { return held[d] })
}

func (s state) equal(o state) bool {
	return maps.Equal(s.tags, o.tags) && maps.EqualFunc(s.images, o.images, func(a, b *image) bool { return a.digest == b.digest })
}

func (s state) String() string {
	var b strings.Builder
	for _, tag := range slices.Sorted(maps.Keys(s.tags)) {
		fmt.Fprintf(&b, " %s=%.15s", tag, s.tags[tag])
	}
	b.WriteString(" |")
	for _, digest := range slices.Sorted(maps.Keys(s.images)) {
		fmt.Fprintf(&b, " %.15s", digest)
	}
	return b.String()
}

// repository is what is known of one repository of the server. Only its worker
// changes it. While a change is under way, or when it was cut off, the
// repository may be in any of several states.
type repository struct {
	name     string
	possible []state // one, when nothing is in doubt
}

func newRepository(name string) *repository {
	return &repository{name: name, possible: []state{{map[string]string{}, map[string]*image{}}}}
}

// now is the one state that the repository is in.
func (r *repository) now() state {
	if len(r.possible) != 1 {
		panic("torture: the state of " + r.name + " is in doubt")
	}
	return r.possible[0]
}

// attempt makes a change that ends in one of the states after. An error leaves
// it open whether the change was made, an acknowledgement does not.
func (r *repository) attempt(change func() error, after ...state) error {
	before := r.now()
	r.possible = append([]state{before}, after...)
	if err := change(); err != nil {
		return err
	}
	r.possible = after
	return nil
}

// images are all that the repository may hold.
func (r *repository) images() map[string]*image {
	all := map[string]*image{}
	for _, s := range r.possible {
		maps.Copy(all, s.images)
	}
	return all
}

// settle finds the actual state among the possible ones.
func (r *repository) settle(actual state) error {
	i := slices.IndexFunc(r.possible, actual.equal)
	if i < 0 {
		return &violation{fmt.Sprintf("%s is in a state that it never was in:%s\npossible were:\n%s", r.name, actual, join(r.possible))}
	}
	r.possible = []state{r.possible[i]}
	return nil
}

// violation is a promise of the server that it broke.
type violation struct{ text string }

func (v *violation) Error() string { return v.text }

func join(states []state) string {
	lines := make([]string, len(states))
	for i, s := range states {
		lines[i] = " " + s.String()
	}
	return strings.Join(lines, "\n")
}
