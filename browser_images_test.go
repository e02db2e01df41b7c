package main

import (
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// gatewayReadme is a text as images carry it, with what a page must not run.
const gatewayReadme = "# Gateway\n\nTakes card payments and hands them to the **acquirer**. See the [handbook](https://handbook.example/gateway).\n\n" +
	"```\ndocker run -p 8443:8443 gateway\n```\n\n| variable | meaning |\n|---|---|\n| `ACQUIRER_URL` | where payments go |\n| `LOG_LEVEL` | debug, info or error |\n\n" +
	"- needs 64 MiB\n- runs as user 1000\n\n<script>alert(1)</script>\n\n[do not](javascript:alert(1))\n"

// gateway is an image as a build makes it: with a history, a configuration and
// a readme.
func gateway(t *testing.T, architecture string) v1.Image {
	t.Helper()
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	built := v1.Time{Time: time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)}
	for _, step := range []v1.History{
		{CreatedBy: "/bin/sh -c #(nop) ADD file:5d68d27cc15a80653c93d3a0b262a28112d47a46326ff5fc2dfbf7fa3b9a0ce8 in / "},
		{CreatedBy: `/bin/sh -c #(nop) LABEL org.opencontainers.image.title=gateway`, EmptyLayer: true},
		{CreatedBy: "RUN /bin/sh -c apt-get update && apt-get install -y --no-install-recommends ca-certificates tini && rm -rf /var/lib/apt/lists/* # buildkit"},
		{CreatedBy: "COPY gateway /usr/local/bin/gateway # buildkit"},
		{CreatedBy: `ENTRYPOINT ["tini" "--" "gateway"]`, EmptyLayer: true},
	} {
		step.Created = built
		add := mutate.Addendum{History: step}
		if !step.EmptyLayer {
			layer, err := random.Layer(30_000, types.OCILayer)
			if err != nil {
				t.Fatal(err)
			}
			add.Layer = layer
		}
		var err error
		if image, err = mutate.Append(image, add); err != nil {
			t.Fatal(err)
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.Architecture, config.OS, config.Created = architecture, "linux", built
	config.Config = v1.Config{User: "1000:1000", WorkingDir: "/srv", Entrypoint: []string{"tini", "--", "gateway"}, Cmd: []string{"--listen", ":8443"},
		Env:          []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LOG_LEVEL=info"},
		ExposedPorts: map[string]struct{}{"8443/tcp": {}}, Labels: map[string]string{"org.opencontainers.image.title": "gateway", "org.opencontainers.image.vendor": "Example Payments"}}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	annotated, ok := mutate.Annotations(image, map[string]string{"org.opencontainers.image.source": "https://git.example/payments/gateway",
		"org.example.gateway.readme": gatewayReadme}).(v1.Image)
	if !ok {
		t.Fatal("no image")
	}
	return annotated
}

// pushGateway pushes an index of two platforms, PROJECT/NAME:TAG, with a bill of
// materials on it that has a signature.
func pushGateway(t *testing.T, srv *testenv.Server, image string) {
	t.Helper()
	ref := reference(t, srv, image)
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, architecture := range []string{"amd64", "arm64"} {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: gateway(t, architecture),
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}}})
	}
	if err := remote.WriteIndex(ref, index, remoteAs(t, srv)...); err != nil {
		t.Fatal(err)
	}
	subject := descriptor(t, index)
	bill := attach(t, srv, ref, subject, "application/spdx+json")
	attach(t, srv, ref, bill, "application/vnd.cncf.notary.signature")
}

func descriptor(t *testing.T, of interface {
	Digest() (v1.Hash, error)
	Size() (int64, error)
	MediaType() (types.MediaType, error)
}) v1.Descriptor {
	t.Helper()
	digest, err := of.Digest()
	if err != nil {
		t.Fatal(err)
	}
	size, err := of.Size()
	if err != nil {
		t.Fatal(err)
	}
	media, err := of.MediaType()
	if err != nil {
		t.Fatal(err)
	}
	return v1.Descriptor{Digest: digest, Size: size, MediaType: media}
}

// attach pushes a manifest that refers to subject.
func attach(t *testing.T, srv *testenv.Server, to name.Reference, subject v1.Descriptor, artifactType types.MediaType) v1.Descriptor {
	t.Helper()
	plain := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), artifactType)
	layer, err := random.Layer(300, artifactType)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err = mutate.AppendLayers(plain, layer); err != nil {
		t.Fatal(err)
	}
	image, ok := mutate.Subject(plain, subject).(v1.Image)
	if !ok {
		t.Fatal("no image")
	}
	made := descriptor(t, image)
	if err := remote.Write(to.Context().Digest(made.Digest.String()), image, remoteAs(t, srv)...); err != nil {
		t.Fatal(err)
	}
	return made
}

func reference(t *testing.T, srv *testenv.Server, image string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(srv.Addr + "/" + image)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}
