package main

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

func publicPEM(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// digestOfTag is what the tag names; the administrator may push, so that no
// policy is in the way.
func digestOfTag(t *testing.T, srv *testenv.Server, image string) v1.Hash {
	t.Helper()
	repository, tag, _ := strings.Cut(image, ":")
	project, repo, _ := strings.Cut(repository, "/")
	var artifact struct{ Digest string }
	srv.JSON(t, "GET", "/api/v2.0/projects/"+project+"/repositories/"+repo+"/artifacts/"+tag, srv.AdminUser, srv.AdminPassword, nil, 200, &artifact)
	digest, err := v1.NewHash(artifact.Digest)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// cosign signs what the tag names with the key, as cosign does it, and waits
// until the registry has looked at it.
func cosign(t *testing.T, srv *testenv.Server, key *ecdsa.PrivateKey, image string) {
	t.Helper()
	digest := digestOfTag(t, srv, image)
	repository, tag, _ := strings.Cut(image, ":")
	ref, err := name.ParseReference(srv.Addr + "/" + repository + ":" + sigTag(digest))
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, signatureImage(t, key, digest), remoteAs(t, srv)...); err != nil {
		t.Fatal(err)
	}
	project, repo, _ := strings.Cut(repository, "/")
	becomes(t, image+" is looked at", soon, func() bool {
		var list []struct{ Status string }
		srv.JSON(t, "GET", "/api/v2.0/projects/"+project+"/repositories/"+repo+"/artifacts/"+tag+"/signatures", srv.AdminUser, srv.AdminPassword, nil, 200, &list)
		return len(list) > 0
	})
}

// A project comes to ask for signatures, and to trust a key, by clicking; marks
// say what is signed, and never that of what does not verify.
func TestBrowserTrust(t *testing.T) {
	srv, b := startUI(t)
	newProject(t, srv, "payments", false)
	pushGateway(t, srv, "payments/gateway:2.14.1")
	for _, tag := range []string{"2.13.0", "2.12.4", "2.12.3"} {
		pushImage(t, srv, "payments/gateway:"+tag)
	}
	ours, theirs := newSigningKey(t), newSigningKey(t)
	cosign(t, srv, theirs, "payments/gateway:2.12.4")
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Goto("/projects/payments/policies")
	b.See("Nobody yet: no signature of cosign or notation counts.")
	b.Choose("cosign")
	b.Choose("Notary (docker content trust)")
	b.Click("Save changes")
	b.See("The policies were saved")
	b.Click("Trust a signer")
	b.SeeTitle("Trust a signer")
	b.Shot("anchor-new")
	b.Fill("Public key", "-----BEGIN NOTHING-----")
	b.Fill("Last day", "2020-01-01")
	b.Click("Trust a signer")
	b.See("2 fields need a change")
	b.Fill("Name", "release-key")
	b.Fill("Last day", "")
	b.Click("Trust a signer")
	b.See("the content must be one public key in PEM")
	b.Shot("anchor-wrong")
	file := filepath.Join(t.TempDir(), "cosign.pub")
	if err := os.WriteFile(file, []byte(publicPEM(t, ours)), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Run(chromedp.SetUploadFiles("#file", []string{file}))
	b.Click("Trust a signer")
	b.See("release-key is trusted")
	b.Shot("policies-trust")
	b.Click("release-key")
	b.See("sha256:")
	b.Fill("Last day", time.Now().AddDate(1, 0, 0).UTC().Format(time.DateOnly))
	b.Click("Save changes")
	b.See("release-key was changed")
	for _, typ := range []string{"cosign-identity", "sigstore-root", "notation-certificate", "notation-subject", "notation-crl"} {
		b.Goto("/projects/payments/policies/trust/new?type=" + typ)
		b.SeeTitle("Trust a signer")
	}
	b.Goto("/projects/payments/policies/trust/new?type=cosign-identity")
	b.Shot("anchor-identity")

	cosign(t, srv, ours, "payments/gateway:2.14.1")
	cosign(t, srv, ours, "payments/gateway:2.13.0")
	b.Goto("/projects/payments/repositories/gateway")
	b.See("release-key (cosign)")
	b.See("Invalid signature")
	b.See("Unsigned")
	b.Shot("repository-signed")
	b.Click("Tags")
	b.See("release-key (cosign)")
	b.Shot("repository-tags-signed")
	b.Click("2.14.1")
	b.See("This digest")
	b.Shot("artifact-signed")
	b.Click("linux/arm64")
	b.See("Part of the signed index")
	b.Shot("artifact-signed-child")
	b.Goto("/projects/payments/repositories/gateway/artifacts/2.12.4")
	b.See("Invalid signature")
	b.See("No key that the project trusts made it.")
	b.Shot("artifact-invalid-signature")
	b.Goto("/projects/payments/repositories/gateway")
	b.Click("Trust")
	b.See("cosign sign --key cosign.key " + srv.Addr + "/payments/gateway@sha256:")
	b.Shot("repository-trust-none")

	b.Goto("/projects/payments/policies")
	b.Click("release-key")
	b.Click("Delete")
	b.See("Trust release-key no more?")
	b.Shot("anchor-delete")
	b.Click("Trust no more")
	b.See("It is trusted no more")
	b.Goto("/projects/payments/repositories/gateway")
	b.Gone("release-key (cosign)")
}
