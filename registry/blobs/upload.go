package blobs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"

	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// writebackStep is how many bytes of an upload arrive before the kernel is asked
// to begin writing them, unless they are the last.
const writebackStep = 8 << 20

// maxEmptyReads is how often a reader may return neither bytes nor an error.
const maxEmptyReads = 100

// Upload is one request's use of an upload session. It is for one goroutine.
// Commit and Discard end the session, so does a failed Verify; Release must be
// called in any case and leaves a session that has not ended for the next
// request.
type Upload struct {
	store    *FileStore
	session  *session
	id       string
	file     LayerFile // nil until needed
	handed   int64     // bytes that the kernel was asked to begin writing
	verified digest.Digest
	ended    bool
}

// ID returns the upload's UUID.
func (u *Upload) ID() string { return u.id }

// Size returns how many bytes have arrived, which is the offset of the next.
// It must not be called after Release.
func (u *Upload) Size() int64 { return u.session.size }

// Append adds what r yields, at most maxBytes (no limit when negative), and
// returns how many bytes were added. Those are in the file when it returns,
// so they outlive the process, also when an error is returned with them:
// CodeBadRequest when r failed, CodeTooLarge when r has more than maxBytes,
// CodeNoSpace or CodeUnavailable when the disk refused or its reserve is reached.
func (u *Upload) Append(ctx context.Context, r io.Reader, maxBytes int64) (int64, error) {
	if err := u.rehash(ctx); err != nil {
		return 0, err
	}
	u.verified = ""
	p := pieces{store: u.store, hash: u.session.hash}
	defer p.end()
	var added int64
	for {
		chunk, readErr := nextChunk(ctx, r, p.buffer(), maxBytes, added)
		if err := u.write(chunk); err != nil {
			return added, err
		}
		u.handOver(readErr != nil)
		p.add(chunk, readErr == nil)
		added += int64(len(chunk))
		if readErr != nil {
			return added, u.readError(readErr)
		}
	}
}

// pieces hashes what arrives. Of a large upload the hash costs more than all
// the rest, so that a piece is hashed while the next one is read and written.
type pieces struct {
	store   *FileStore
	hash    hash.Hash
	buffers [2]*[]byte
	turn    int
	running chan struct{} // closed when the piece handed over has been hashed; nil without
}

// buffer returns where the next piece may be read to.
func (p *pieces) buffer() []byte {
	if p.buffers[p.turn] == nil {
		p.buffers[p.turn] = p.store.buffers.Get().(*[]byte)
	}
	return *p.buffers[p.turn]
}

// add hashes a piece that is in the buffer; more says that another one follows.
func (p *pieces) add(piece []byte, more bool) {
	p.wait()
	if !more {
		p.hash.Write(piece)
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.hash.Write(piece)
	}()
	p.running, p.turn = done, 1-p.turn
}

func (p *pieces) wait() {
	if p.running != nil {
		<-p.running
		p.running = nil
	}
}

// end waits for what is being hashed and gives the buffers back.
func (p *pieces) end() {
	p.wait()
	for _, buf := range p.buffers {
		if buf != nil {
			p.store.buffers.Put(buf)
		}
	}
}

// nextChunk fills buf, but for what would exceed maxBytes.
func nextChunk(ctx context.Context, r io.Reader, buf []byte, maxBytes, added int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	room := int64(len(buf))
	if maxBytes >= 0 {
		room = min(room, maxBytes-added)
	}
	// One byte more shows whether the reader has too much.
	n, err := fill(r, buf[:min(room+1, int64(len(buf)))])
	if int64(n) > room {
		return buf[:room], core.Errorf(core.CodeTooLarge, "the request body is larger than the %d bytes allowed here: send less", maxBytes)
	}
	return buf[:n], err
}

// fill reads until buf is full. Unlike io.ReadFull it tells the end of a body
// from a body that broke off.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for empty := 0; n < len(buf) && err == nil; {
		var m int
		m, err = r.Read(buf[n:])
		n += m
		if empty++; m > 0 {
			empty = 0
		}
		if empty > maxEmptyReads {
			return n, io.ErrNoProgress
		}
	}
	return n, err
}

func (u *Upload) readError(err error) error {
	if err == io.EOF {
		return nil
	}
	if _, ok := errors.AsType[*core.Error](err); ok {
		return err
	}
	return &core.Error{
		Code:    core.CodeBadRequest,
		Message: fmt.Sprintf("the request body broke off: continue the upload at offset %d", u.session.size),
		Err:     err,
	}
}

// write adds p to the file, or leaves that as it was.
func (u *Upload) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if err := u.store.guard.admit(len(p)); err != nil {
		return err
	}
	if _, err := u.file.WriteAt(p, u.session.size); err != nil {
		if cutErr := u.file.Truncate(u.session.size); cutErr != nil {
			return u.fail("write an upload", errors.Join(err, cutErr))
		}
		return explain("write an upload", err)
	}
	u.session.size += int64(len(p))
	return nil
}

// handOver asks the kernel to begin writing what has arrived, where that is
// much or all there is: the disk works while the bytes are hashed.
func (u *Upload) handOver(all bool) {
	if length := u.session.size - u.handed; all && length > 0 || length >= writebackStep {
		startWriteback(u.file, u.handed, length)
		u.handed = u.session.size
	}
}

// open opens the upload's file unless it is open.
func (u *Upload) open() error {
	if u.ended {
		return unknownUpload()
	}
	if u.file != nil {
		return nil
	}
	file, err := u.store.layer.OpenFile(u.name(), os.O_RDWR, 0)
	if isNotFound(err) {
		u.end()
		return unknownUpload()
	}
	if err != nil {
		return explain("open an upload", err)
	}
	u.file = file
	return nil
}

// rehash opens the file and makes sure that the running hash is there.
func (u *Upload) rehash(ctx context.Context) error {
	if err := u.open(); err != nil || u.session.hash != nil {
		return err
	}
	h := sha256.New()
	if err := u.read(ctx, h); err != nil {
		return err
	}
	u.session.hash = h
	return nil
}

// read feeds the whole file to h.
func (u *Upload) read(ctx context.Context, h hash.Hash) error {
	buf := u.store.buffers.Get().(*[]byte)
	defer u.store.buffers.Put(buf)
	for offset := int64(0); offset < u.session.size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := u.file.ReadAt((*buf)[:min(bufferSize, u.session.size-offset)], offset)
		if n == 0 && err != nil {
			return explain("read an upload", err)
		}
		h.Write((*buf)[:n])
		offset += int64(n)
	}
	return nil
}

// Verify compares the bytes that arrived with the digest announced: sha256
// from the running hash, sha512 by reading the file. When they differ, the
// upload is discarded and the error holds an *ErrDigestMismatch.
func (u *Upload) Verify(ctx context.Context, want digest.Digest) error {
	if err := checkDigest(want); err != nil {
		return err
	}
	got, err := u.digest(ctx, want.Algorithm())
	if err != nil {
		return err
	}
	if got != want {
		return errors.Join(mismatch(want, got), u.Discard(ctx))
	}
	u.verified = want
	return nil
}

func (u *Upload) digest(ctx context.Context, algorithm digest.Algorithm) (digest.Digest, error) {
	if algorithm == digest.SHA256 {
		err := u.rehash(ctx)
		if err != nil {
			return "", err
		}
		return digest.NewDigest(algorithm, u.session.hash), nil
	}
	if err := u.open(); err != nil {
		return "", err
	}
	h := newHash(algorithm)
	if err := u.read(ctx, h); err != nil {
		return "", err
	}
	return digest.NewDigest(algorithm, h), nil
}

// Commit makes the upload the file f, durably: when it returns nil, the blob
// survives a power cut. Verify must have accepted f.Digest after the last
// Append. After an error of the disk the session has ended: the client has to
// upload again, because the kernel reports a failed write only once and may
// have dropped the bytes.
func (u *Upload) Commit(ctx context.Context, f File) error {
	target, err := f.path()
	if err != nil {
		return err
	}
	if u.ended {
		return unknownUpload()
	}
	if f.Digest != u.verified {
		return fmt.Errorf("commit upload %s as %s: verified was %q", u.id, f.Digest, u.verified)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := u.open(); err != nil {
		return err
	}
	if err := u.store.ready(ctx, f.Digest.Algorithm()); err != nil {
		return u.fail("store a blob", err)
	}
	if err := u.store.publish(u.file, u.name(), u.store.full(target)); err != nil {
		return u.fail("store a blob", err)
	}
	u.end()
	return nil
}

// Discard ends the upload and removes its bytes.
func (u *Upload) Discard(context.Context) error {
	if u.ended {
		return nil
	}
	closeErr := u.closeFile()
	if err := removeFile(u.store.layer, u.name()); err != nil {
		return explain("discard an upload", errors.Join(err, closeErr))
	}
	u.end()
	return nil
}

// Release gives the upload free for other requests and closes its file.
// Calling it again, or after the session has ended, does nothing.
func (u *Upload) Release() {
	if u.ended {
		return
	}
	// The bytes are in the page cache; Commit opens the file again and its
	// fsync reports what went wrong with them since.
	_ = u.closeFile()
	u.ended = true
	u.store.sessions.release(u.session)
}

// fail discards an upload whose bytes can no longer be trusted. When not even
// that works, the session stays claimed so that nobody continues it.
func (u *Upload) fail(doing string, err error) error {
	err = errors.Join(err, u.closeFile())
	removeErr := removeFile(u.store.layer, u.name())
	if removeErr == nil {
		u.store.sessions.drop(u.session)
	}
	u.ended = true
	return explain(doing, errors.Join(err, removeErr))
}

// end forgets a session whose file is gone.
func (u *Upload) end() {
	_ = u.closeFile()
	u.ended = true
	u.store.sessions.drop(u.session)
}

func (u *Upload) closeFile() error {
	if u.file == nil {
		return nil
	}
	err := u.file.Close()
	u.file = nil
	return err
}

func (u *Upload) name() string { return u.store.full(path.Join(uploadsDir, u.session.name)) }
