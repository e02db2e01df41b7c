package certs

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	certSuffix = ".crt"
	keySuffix  = ".key"

	pemCertificate = "CERTIFICATE"
	pemKey         = "PRIVATE KEY"

	// maxPEM is more than any chain needs.
	maxPEM = 1 << 20
)

// A pair in the tls folder is two files, but only the key file counts: it
// holds the key and the certificates, so that one rename replaces both and no
// crash can leave a key beside a certificate of another. The .crt file is a
// copy of the certificates for people and clients, written after it and put
// right again when it differs.

// bundle is one pair of the tls folder, as it is on disk.
type bundle struct {
	pair  *tls.Certificate
	chain []*x509.Certificate // the certificates of pair
}

// readBundle reads the pair called name. It returns fs.ErrNotExist when there
// is none.
func (m *Manager) readBundle(name string) (bundle, error) {
	path := m.path(name + keySuffix)
	data, err := readLimited(path)
	if err != nil {
		return bundle{}, err
	}
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		return bundle{}, fmt.Errorf("%s: %w", path, err)
	}
	chain, err := chainOf(&pair)
	if err != nil {
		return bundle{}, fmt.Errorf("%s: %w", path, err)
	}
	m.repairCopy(name, encodeCerts(publicPart(name, chain)))
	return bundle{&pair, chain}, nil
}

// repairCopy writes the .crt file again when a crash came between the two
// files. The server works without it, so a failure is only logged.
func (m *Manager) repairCopy(name string, want []byte) {
	path := m.path(name + certSuffix)
	have, err := readLimited(path)
	if err == nil && bytes.Equal(have, want) {
		return
	}
	if err := writeFile(path, want, 0o644); err != nil {
		m.opts.Log.Warn("cannot write the copy of a certificate", "file", path, "error", err)
	}
}

// publicPart returns what the .crt file of a pair holds. For the CA that is
// its own certificate alone, because clients are to trust nothing else.
func publicPart(name string, chain []*x509.Certificate) []*x509.Certificate {
	if name == caBase {
		return chain[:1]
	}
	return chain
}

// writeBundle stores a pair under name in the tls folder, durably and at once.
func (m *Manager) writeBundle(name string, key crypto.PrivateKey, chain []*x509.Certificate) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return &core.Error{Code: core.CodeInternal, Message: "cannot encode the private key", Err: err}
	}
	data := pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der})
	data = append(data, encodeCerts(chain)...)
	err = makeDir(m.dir)
	if err == nil {
		err = writeFile(m.path(name+keySuffix), data, 0o600)
	}
	if err == nil {
		err = writeFile(m.path(name+certSuffix), encodeCerts(publicPart(name, chain)), 0o644)
	}
	return storeError(err)
}

// storeError turns a failed write into what a user may read about it.
func storeError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &core.Error{Code: core.CodeNoSpace, Message: "the disk of the data folder is full, so the certificate was not stored; make room and try again", Err: err}
	}
	return &core.Error{Code: core.CodeInternal, Message: "cannot store the certificate in the data folder", Err: err}
}

func encodeCerts(certs []*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: c.Raw})...)
	}
	return out
}

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxPEM {
		return nil, fmt.Errorf("%s is larger than 1 MiB", path)
	}
	return data, nil
}

// makeDir makes the tls folder. Others may read the CA's certificate in it.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// writeFile replaces a file in one step that survives a power cut. The fixed
// temporary name means that crashes do not pile up copies of keys.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	temp := path + ".tmp"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = f.Chmod(mode)
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDir(filepath.Dir(path))
}

// removeFile removes a file, if it is there, so that a power cut does not
// bring it back.
func removeFile(path string) error {
	err := os.Remove(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
