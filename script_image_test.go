package main

import (
	"io"
	"math/rand"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"
)

// remoteOptions have go-containerregistry reach the script's registry.
func (s *script) remoteOptions(o options) []remote.Option {
	auth := authn.Anonymous
	if o.user != "" {
		auth = &authn.Basic{Username: o.user, Password: o.password}
	}
	return []remote.Option{remote.WithTransport(s.client.Transport), remote.WithAuth(auth),
		remote.WithRetryStatusCodes(), remote.WithRetryBackoff(remote.Backoff{Steps: 1})} // an error is an error
}

// image makes the same image for the same numbers.
func image(o options) (v1.Image, error) {
	number := func(name string, fallback int64) int64 {
		if n, ok := o.numbers[name]; ok {
			return n
		}
		return fallback
	}
	return random.Image(number("size", 1024), number("layers", 2), random.WithSource(rand.NewSource(number("seed", 1))))
}

func cmdPush(ts *testscript.TestScript, s *script, neg bool, args []string) {
	need(ts, args, 1)
	o := parseOptions(ts, s, args[1:])
	ref, err := name.ParseReference(s.addr + "/" + args[0])
	ts.Check(err)
	img, err := image(o)
	ts.Check(err)
	digest, err := img.Digest()
	ts.Check(err)
	ts.Setenv("DIGEST", digest.String())
	config, err := img.ConfigName()
	ts.Check(err)
	ts.Setenv("CONFIG", config.String())
	layers, err := img.Layers()
	ts.Check(err)
	layer, err := layers[0].Digest()
	ts.Check(err)
	ts.Setenv("LAYER", layer.String())
	outcome(ts, neg, "push of "+args[0], remote.Write(ref, img, s.remoteOptions(o)...))
}

func cmdPull(ts *testscript.TestScript, s *script, neg bool, args []string) {
	need(ts, args, 1)
	o := parseOptions(ts, s, args[1:])
	ref, err := name.ParseReference(s.addr + "/" + args[0])
	ts.Check(err)
	outcome(ts, neg, "pull of "+args[0], pullAll(ref, s.remoteOptions(o)))
}

// pullAll reads the manifest, the config and every layer, whose digests
// go-containerregistry verifies.
func pullAll(ref name.Reference, options []remote.Option) error {
	img, err := remote.Image(ref, options...)
	if err != nil {
		return err
	}
	if _, err := img.ConfigFile(); err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		if err := readLayer(layer); err != nil {
			return err
		}
	}
	return nil
}

func readLayer(layer v1.Layer) error {
	content, err := layer.Compressed()
	if err != nil {
		return err
	}
	defer content.Close()
	_, err = io.Copy(io.Discard, content)
	return err
}

// outcome demands success, or with neg a failure whose text goes to stderr.
func outcome(ts *testscript.TestScript, neg bool, what string, err error) {
	switch {
	case err == nil && neg:
		ts.Fatalf("the %s succeeded, but should have failed", what)
	case err != nil && !neg:
		ts.Fatalf("the %s failed: %v", what, err)
	case err != nil:
		ts.Check(ignoreCount(io.WriteString(ts.Stderr(), err.Error()+"\n")))
	}
}
