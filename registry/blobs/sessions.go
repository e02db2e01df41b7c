package blobs

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// putPrefix marks the temporary file of a Put, which nobody resumes.
	putPrefix = "put."
	// scopeDigits is how much of the scope's hash is in an upload's file name.
	scopeDigits = 32
	// unknownSize marks a session whose file has not been looked at.
	unknownSize = -1
)

// session is what memory knows about one file in the uploads folder.
type session struct {
	name string
	size int64
	hash hash.Hash     // sha256 of the file's size bytes; nil when not computed
	idle *list.Element // nil while in use
}

// sessions remembers who uses which upload, and the running hashes of the
// uploads used last.
type sessions struct {
	mu     sync.Mutex
	byName map[string]*session
	idle   *list.List // of *session, the longest idle first
	limit  int
}

func newSessions(limit int) *sessions {
	return &sessions{byName: map[string]*session{}, idle: list.New(), limit: limit}
}

// claim gives the caller sole use of an upload until release or drop; false
// when somebody else has it.
func (t *sessions) claim(name string) (*session, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, known := t.byName[name]
	switch {
	case !known:
		s = &session{name: name, size: unknownSize}
		t.byName[name] = s
	case s.idle == nil:
		return nil, false
	default:
		t.idle.Remove(s.idle)
		s.idle = nil
	}
	return s, true
}

// release ends the sole use and keeps the session, if there is room for it.
func (t *sessions) release(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.idle = t.idle.PushBack(s)
	if t.idle.Len() > t.limit {
		oldest := t.idle.Remove(t.idle.Front()).(*session)
		delete(t.byName, oldest.name)
	}
}

// drop ends the sole use and forgets the session.
func (t *sessions) drop(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byName, s.name)
}

// uploadName returns the file name of an upload. The scope is part of it, so
// an id is worth nothing in another repository. ok is false for an id that is
// not a UUID in its canonical form.
func uploadName(scope, id string) (name string, ok bool) {
	if !isUUID(id) {
		return "", false
	}
	sum := sha256.Sum256([]byte(scope))
	return id + "." + hex.EncodeToString(sum[:])[:scopeDigits], true
}

// isUUID accepts the canonical form only, not the others that uuid.Parse knows.
func isUUID(id string) bool {
	u, err := uuid.Parse(id)
	return err == nil && u.String() == id
}

// isOurs says whether a file in the uploads folder was made by this package.
func isOurs(name string) bool {
	id, scope, _ := strings.Cut(name, ".")
	if id+"." == putPrefix {
		return isUUID(scope)
	}
	raw, err := hex.DecodeString(scope)
	return isUUID(id) && err == nil && len(raw) == scopeDigits/2
}

// Begin starts an upload. scope is the full name of the repository: only with
// the same scope can the upload be found again. The caller has the upload for
// itself until Release.
func (s *FileStore) Begin(ctx context.Context, scope string) (*Upload, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.guard.admit(0); err != nil {
		return nil, err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("begin upload: %w", err)
	}
	name, _ := uploadName(scope, id.String())
	session, _ := s.sessions.claim(name)
	file, err := s.layer.OpenFile(s.full(path.Join(uploadsDir, name)), os.O_RDWR|os.O_CREATE|os.O_EXCL, filePerm)
	if err != nil {
		s.sessions.drop(session)
		return nil, explain("begin an upload", err)
	}
	session.size, session.hash = 0, sha256.New()
	return &Upload{store: s, session: session, id: id.String(), file: file}, nil
}

// Upload returns a running upload, also one that an earlier process began. The
// caller has it for itself until Release. The error is a core.Error with
// CodeNotFound when there is no such upload in this scope or the id is
// malformed, and with CodeConflict while another request is using it.
func (s *FileStore) Upload(ctx context.Context, scope, id string) (*Upload, error) {
	name, ok := uploadName(scope, id)
	if !ok {
		return nil, unknownUpload()
	}
	session, ok := s.sessions.claim(name)
	if !ok {
		return nil, busyUpload(id)
	}
	if session.size == unknownSize {
		info, err := s.driver.Stat(ctx, path.Join(uploadsDir, name))
		if err != nil {
			s.sessions.drop(session)
			if isNotFound(err) {
				return nil, unknownUpload()
			}
			return nil, explain("find an upload", err)
		}
		session.size = info.Size()
	}
	return &Upload{store: s, session: session, id: id}, nil
}

// Expire removes uploads that nobody is using and that got no bytes for longer
// than olderThan, and what a crash left of a Put. It returns how many and
// their bytes. It goes on after an error and returns the first one.
func (s *FileStore) Expire(ctx context.Context, olderThan time.Duration) (n int, freed int64, err error) {
	list, err := s.driver.List(ctx, uploadsDir)
	if err != nil {
		return 0, 0, explain("list the uploads", err)
	}
	limit := time.Now().Add(-olderThan)
	for _, p := range list {
		if ctx.Err() != nil {
			return n, freed, ctx.Err()
		}
		if !isOurs(path.Base(p)) || !s.isStale(ctx, p, limit) {
			continue
		}
		size, removed, e := s.expireOne(ctx, p, limit)
		if removed {
			n, freed = n+1, freed+size
		}
		if err == nil {
			err = explain("remove a stale upload", e)
		}
	}
	return n, freed, err
}

func (s *FileStore) isStale(ctx context.Context, p string, limit time.Time) bool {
	info, err := s.driver.Stat(ctx, p)
	return err == nil && info.ModTime().Before(limit)
}

func (s *FileStore) expireOne(ctx context.Context, p string, limit time.Time) (size int64, removed bool, err error) {
	session, ok := s.sessions.claim(path.Base(p))
	if !ok {
		return 0, false, nil
	}
	// Looked at again: it may have grown or gone before the claim.
	info, err := s.driver.Stat(ctx, p)
	if err != nil || !info.ModTime().Before(limit) {
		s.unclaim(session)
		return 0, false, nil
	}
	if err := s.layer.Remove(s.full(p)); err != nil {
		s.unclaim(session)
		return 0, false, err
	}
	s.sessions.drop(session)
	return info.Size(), true, nil
}

// unclaim gives a session back that Expire did not remove, and forgets one
// that only the claim had brought into memory.
func (s *FileStore) unclaim(session *session) {
	if session.size == unknownSize {
		s.sessions.drop(session)
		return
	}
	s.sessions.release(session)
}
