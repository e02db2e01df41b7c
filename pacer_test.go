package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestPacerRestsWhileClientsCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(pacer)
		after := func(work time.Duration) time.Duration {
			time.Sleep(work)
			began := time.Now()
			p.rest(t.Context())
			return time.Since(began)
		}
		p.rest(t.Context())
		if rest := after(10 * time.Millisecond); rest != 0 {
			t.Errorf("without clients it rests for %s", rest)
		}
		release := make(chan struct{})
		answering := make(chan struct{})
		handler := p.watch(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(answering); <-release }))
		go handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		<-answering
		if rest := after(10 * time.Millisecond); rest != restFactor*10*time.Millisecond {
			t.Errorf("while a request is answered it rests for %s", rest)
		}
		if rest := after(piece / 2); rest != 0 {
			t.Errorf("within a piece it rests for %s", rest)
		}
		if rest := after(piece / 2); rest != restFactor*piece {
			t.Errorf("at the end of a piece it rests for %s", rest)
		}
		if rest := after(time.Second); rest != maxRest {
			t.Errorf("after a long piece it rests for %s", rest)
		}
		close(release)
		synctest.Wait()
		if rest := after(10 * time.Millisecond); rest != restFactor*10*time.Millisecond {
			t.Errorf("just after a request it rests for %s", rest)
		}
		time.Sleep(busyFor)
		if rest := after(10 * time.Millisecond); rest != 0 {
			t.Errorf("when the clients have gone it rests for %s", rest)
		}
	})
}
