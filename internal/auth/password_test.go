package auth_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
)

const goodPassword = "Correct7horse"

func TestHashAndVerify(t *testing.T) {
	p := auth.NewPasswords()
	encoded, err := p.Hash(t.Context(), goodPassword)
	check(t, err)
	if !strings.HasPrefix(encoded, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("encoded = %q", encoded)
	}
	again, err := p.Hash(t.Context(), goodPassword)
	check(t, err)
	if again == encoded {
		t.Error("two hashes of a password are equal: the salt is not random")
	}
	for password, want := range map[string]bool{
		goodPassword: true, "Correct7hors": false, "": false, goodPassword + "\x00": false, strings.Repeat("Aa1", 200): false,
	} {
		ok, err := p.Verify(t.Context(), encoded, password)
		check(t, err)
		if ok != want {
			t.Errorf("Verify(%.20q) = %v, want %v", password, ok, want)
		}
	}
	_, err = p.Hash(t.Context(), "weak")
	wantCode(t, err, core.CodeBadRequest)
}

// The hash was made with the reference implementation's test vector
// (phc-winner-argon2 test.c: argon2id, t=2, m=2^16, p=1).
func TestVerifyReferenceVector(t *testing.T) {
	const encoded = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	ok, err := auth.NewPasswords().Verify(t.Context(), encoded, "password")
	if err != nil || !ok {
		t.Errorf("Verify = %v, %v", ok, err)
	}
}

func TestVerifyRefusesOtherEncodings(t *testing.T) {
	const tail = "$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	p := auth.NewPasswords()
	for _, encoded := range []string{
		"", "plain", "$2a$10$abcdefghijklmnopqrstuv", "$argon2i$v=19$m=65536,t=2,p=1" + tail,
		"$argon2id$v=16$m=65536,t=2,p=1" + tail, "$argon2id$v=19$m=4194304,t=2,p=1" + tail,
		"$argon2id$v=19$m=65536,t=0,p=1" + tail, "$argon2id$v=19$m=65536,t=2,p=0" + tail,
		"$argon2id$v=19$m=65536,t=2,p=257" + tail, "$argon2id$v=19$m=65536,t=2,p=1,x=1" + tail,
		"$argon2id$v=19$m=065536,t=2,p=1" + tail, "$argon2id$v=19$m=65536,t=2,p=1" + tail + "=",
		"$argon2id$v=19$m=65536,t=2,p=1$$", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$AAAA",
	} {
		ok, err := p.Verify(t.Context(), encoded, "password")
		if ok || core.ErrorCode(err) != core.CodeInternal {
			t.Errorf("Verify(%q) = %v, %v; want an internal error", encoded, ok, err)
		}
	}
}

func TestVerifyNobodyCostsAVerify(t *testing.T) {
	p := auth.NewPasswords()
	encoded, err := p.Hash(t.Context(), goodPassword)
	check(t, err)
	// The time itself is too noisy to compare here; the 19 MiB are not.
	known := allocated(func() { _, err = p.Verify(t.Context(), encoded, "Wrong7password") })
	check(t, err)
	unknown := allocated(func() { err = p.VerifyNobody(t.Context(), "Wrong7password") })
	check(t, err)
	if difference := int64(known) - int64(unknown); unknown < 19<<20 || max(difference, -difference) > 1<<20 {
		t.Errorf("bytes allocated: known account %d, unknown account %d", known, unknown)
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestPasswordsWaitForASlot(t *testing.T) {
	p := auth.NewPasswords()
	release := p.HoldSlots()
	hashed := make(chan error, 1)
	go func() {
		_, err := p.Hash(t.Context(), goodPassword)
		hashed <- err
	}()
	await(t, func() bool { return p.Waiting() == 1 })
	select {
	case err := <-hashed:
		t.Fatalf("hashed without a slot: %v", err)
	default:
	}
	release()
	check(t, <-hashed)
	if p.Waiting() != 0 {
		t.Errorf("waiting = %d after the end", p.Waiting())
	}
}

func TestPasswordsGiveUpWithTheContext(t *testing.T) {
	p := auth.NewPasswords()
	defer p.HoldSlots()()
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { failed <- p.VerifyNobody(ctx, goodPassword) }()
	await(t, func() bool { return p.Waiting() == 1 })
	cancel()
	err := <-failed
	wantCode(t, err, core.CodeUnavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cause = %v", err)
	}
}

func TestPasswordsRefuseAnEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := auth.NewPasswords().Hash(ctx, goodPassword)
	wantCode(t, err, core.CodeUnavailable)
}

func TestPasswordQueueIsBounded(t *testing.T) {
	p := auth.NewPasswords()
	defer p.HoldSlots()()
	ctx, cancel := context.WithCancel(t.Context())
	var waiters sync.WaitGroup
	for range auth.HashQueue {
		waiters.Go(func() { p.VerifyNobody(ctx, goodPassword) })
	}
	await(t, func() bool { return p.Waiting() == auth.HashQueue })
	wantCode(t, p.VerifyNobody(t.Context(), goodPassword), core.CodeUnavailable)
	cancel()
	waiters.Wait()
	if p.Waiting() != 0 {
		t.Errorf("waiting = %d after the end", p.Waiting())
	}
}

func TestCheckPassword(t *testing.T) {
	for password, want := range map[string]bool{
		"Abcdefg1": true, "Äbcdéfg1": true, "Pass word 1": true, strings.Repeat("a", 126) + "A1": true,
		strings.Repeat("é", 126) + "A1": true,
		"Abcdef1":                       false, "abcdefg1": false, "ABCDEFG1": false, "Abcdefgh": false, "": false,
		strings.Repeat("a", 127) + "A1": false, "Abcdefg1\n": false, "Abcd\x00efg1": false, "Abcdefg1\x7f": false,
		"Abcdefg1\xff": false, "Abcdefg1\u0085": false, strings.Repeat("Aa1", 1<<20): false,
	} {
		err := auth.CheckPassword(password)
		if (err == nil) != want {
			t.Errorf("CheckPassword(%.20q) = %v, want ok %v", password, err, want)
		}
		if err != nil {
			wantCode(t, err, core.CodeBadRequest)
		}
	}
}

func TestRandomPassword(t *testing.T) {
	seen := map[string]bool{}
	for range 500 {
		password := auth.RandomPassword()
		check(t, auth.CheckPassword(password))
		if len(password) < 20 || strings.ContainsAny(password, "0O1lIo") || seen[password] {
			t.Fatalf("password %q is short, unclear or not random", password)
		}
		seen[password] = true
	}
}

// await polls until the condition holds.
func await(t *testing.T, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !condition(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("the condition did not come true")
		}
	}
}

func BenchmarkVerifyPassword(b *testing.B) {
	p := auth.NewPasswords()
	encoded, err := p.Hash(b.Context(), goodPassword)
	check(b, err)
	for b.Loop() {
		if ok, err := p.Verify(b.Context(), encoded, goodPassword); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkVerifyNobody(b *testing.B) {
	p := auth.NewPasswords()
	for b.Loop() {
		check(b, p.VerifyNobody(b.Context(), goodPassword))
	}
}
