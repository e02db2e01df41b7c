package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite" // the product's own engine, for the command sql
)

func cmdCert(ts *testscript.TestScript, s *script, neg bool, _ []string) {
	refuse(ts, neg)
	// What is shown is what is asked for, not whether it can be trusted.
	conn, err := tls.Dial("tcp", s.server.addr, &tls.Config{InsecureSkipVerify: true})
	ts.Check(err)
	defer conn.Close()
	leaf := conn.ConnectionState().PeerCertificates[0]
	fmt.Fprintf(ts.Stdout(), "serial %x\nissuer %s\nnames %q\naddresses %v\ndays %d\n", leaf.SerialNumber, leaf.Issuer,
		leaf.DNSNames, leaf.IPAddresses, int(leaf.NotAfter.Sub(leaf.NotBefore)/(24*time.Hour)))
}

// cmdMakeCert makes a certificate that signs itself.
func cmdMakeCert(ts *testscript.TestScript, _ *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 1)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: args[0]}, DNSNames: []string{args[0]},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	writePEM(ts, args[0]+".crt", "CERTIFICATE", der)
	writePEM(ts, args[0]+".key", "PRIVATE KEY", secret)
}

// cmdObject makes a JSON object for a request whose body is in files.
func cmdObject(ts *testscript.TestScript, _ *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 2)
	object := map[string]string{}
	for _, arg := range args[1:] {
		name, file, _ := strings.Cut(arg, "=")
		object[name] = ts.ReadFile(file)
	}
	text, err := json.Marshal(object)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}

func writePEM(ts *testscript.TestScript, file, kind string, der []byte) {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	ts.Check(os.WriteFile(ts.MkAbs(file), text, 0o600))
}

func cmdSQL(ts *testscript.TestScript, s *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 1)
	db, err := sql.Open("sqlite", filepath.Join(ts.Getenv("DATA"), databaseFile))
	ts.Check(err)
	defer db.Close()
	result, err := db.Exec(args[0])
	ts.Check(err)
	rows, err := result.RowsAffected()
	ts.Check(err)
	if rows == 0 {
		ts.Fatalf("the statement changed no row")
	}
}

// cmdHolds looks for a text in every file of a folder.
func cmdHolds(ts *testscript.TestScript, _ *script, neg bool, args []string) {
	need(ts, args, 2)
	found := ""
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(args[1])) {
			found = path
		}
		return err
	}))
	if neg && found != "" {
		ts.Fatalf("%s holds %q", found, args[1])
	}
	if !neg && found == "" {
		ts.Fatalf("no file of %s holds %q", args[0], args[1])
	}
}
