package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

const distributionModule = "github.com/distribution/distribution/v3/cmd/registry@v3.1.2"

// peer is a software that is measured: how it is started over a folder.
type peer struct {
	name    string
	command func(home, address string, keys *keyPair) (*exec.Cmd, error)
	secured bool // clients have to sign in
}

// adminPassword is that of the servers made here, which live for minutes on
// loopback.
const adminPassword = "Bench-Password-1"

func build(ctx context.Context, dir string, o options) ([]peer, error) {
	breakwater, registry := o.breakwater, o.registry
	if breakwater == "" {
		breakwater = filepath.Join(dir, "breakwater")
		if err := goTool(ctx, nil, "build", "-trimpath", "-ldflags", "-s -w", "-o", breakwater, "github.com/breakwater-registry/breakwater"); err != nil {
			return nil, err
		}
	}
	if registry == "" && slices.Contains(o.peers, "distribution") {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		bin := filepath.Join(cache, "breakwater-test", "tools", "registry@v3.1.2")
		registry = filepath.Join(bin, "registry")
		if err := goTool(ctx, []string{"GOBIN=" + bin}, "install", "-trimpath", "-ldflags", "-s -w", distributionModule); err != nil {
			return nil, err
		}
	}
	all := []peer{
		{name: "breakwater", command: breakwaterCommand(breakwater), secured: true},
		{name: "distribution", command: distributionCommand(registry)},
	}
	return slices.DeleteFunc(all, func(p peer) bool { return !slices.Contains(o.peers, p.name) }), nil
}

func goTool(ctx context.Context, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", args[0], err, out)
	}
	return nil
}

func breakwaterCommand(binary string) func(string, string, *keyPair) (*exec.Cmd, error) {
	return func(home, address string, keys *keyPair) (*exec.Cmd, error) {
		args := []string{"serve", "--offline", "--data", filepath.Join(home, "data"), "--listen", address, "--hostname", "127.0.0.1"}
		if keys == nil {
			args = append(args, "--http")
		} else {
			args = append(args, "--tls-cert", keys.cert, "--tls-key", keys.key)
		}
		cmd := exec.Command(binary, args...)
		cmd.Env = append(os.Environ(), "BREAKWATER_ADMIN_PASSWORD="+adminPassword)
		return cmd, nil
	}
}

// distributionConfig is the example configuration of the project, with deleting
// allowed as in Breakwater.
const distributionConfig = `version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: %s
  delete:
    enabled: true
http:
  addr: %s
  headers:
    X-Content-Type-Options: [nosniff]
%s`

func distributionCommand(binary string) func(string, string, *keyPair) (*exec.Cmd, error) {
	return func(home, address string, keys *keyPair) (*exec.Cmd, error) {
		tls := ""
		if keys != nil {
			tls = fmt.Sprintf("  tls:\n    certificate: %s\n    key: %s\n", keys.cert, keys.key)
		}
		config := filepath.Join(home, "config.yml")
		text := fmt.Sprintf(distributionConfig, filepath.Join(home, "data"), address, tls)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return nil, err
		}
		cmd := exec.Command(binary, "serve", config)
		cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
		return cmd, nil
	}
}

// keyPair is the certificate that both servers use, and its pool.
type keyPair struct {
	cert, key string // files
	pool      *x509.CertPool
}

func makeKeys(dir string) (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return keyPair{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return keyPair{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return keyPair{}, err
	}
	k := keyPair{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), pool: x509.NewCertPool()}
	k.pool.AddCert(cert)
	if err := writePEM(k.cert, "CERTIFICATE", der); err != nil {
		return keyPair{}, err
	}
	return k, writePEM(k.key, "PRIVATE KEY", private)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
