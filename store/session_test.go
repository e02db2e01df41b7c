package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

func addAccount(t *testing.T, s *store.Store, name string) (id int64) {
	t.Helper()
	update(t, s, func(tx *store.Tx) (err error) {
		id, err = tx.CreateUser(core.User{Username: name})
		return err
	})
	return id
}

func hasSession(t *testing.T, s *store.Store, hash string) (found bool) {
	t.Helper()
	view(t, s, func(tx *store.Tx) error {
		_, err := tx.Session(hash)
		found = err == nil
		if errors.Is(err, store.ErrNoRow) {
			return nil
		}
		return err
	})
	return found
}

func TestSessions(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		amy, bob := addAccount(t, s, "amy"), addAccount(t, s, "bob")
		later := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
		create := func(account int64, hash string, expires time.Time) {
			update(t, s, func(tx *store.Tx) error {
				return tx.CreateSession(store.Session{Hash: hash, AccountID: account, Address: "192.0.2.1", Agent: "test", ExpiresAt: expires}, 2)
			})
		}
		create(bob, "bob1", later)
		create(amy, "amy1", later)
		create(amy, "amy2", later)
		view(t, s, func(tx *store.Tx) error {
			got, err := tx.Session("amy1")
			if err != nil || got.AccountID != amy || got.Address != "192.0.2.1" || got.Agent != "test" || !got.ExpiresAt.Equal(later) || !got.UsedAt.Equal(got.CreatedAt) {
				t.Errorf("session = %+v, %v", got, err)
			}
			return nil
		})
		update(t, s, func(tx *store.Tx) error { return tx.TouchSession("amy1") })
		create(amy, "amy3", later) // amy may have two: amy2 was not used for the longest time
		for hash, want := range map[string]bool{"amy1": true, "amy2": false, "amy3": true, "bob1": true} {
			if got := hasSession(t, s, hash); got != want {
				t.Errorf("session %s exists: %v, want %v", hash, got, want)
			}
		}
		create(amy, "over", time.Now().Add(-time.Second))
		update(t, s, func(tx *store.Tx) error { return tx.DeleteEndedSessions(tx.Now().Add(-time.Minute)) })
		if hasSession(t, s, "over") || !hasSession(t, s, "bob1") {
			t.Error("not exactly the expired session was removed")
		}
		update(t, s, func(tx *store.Tx) error { return tx.DeleteSessions(amy) })
		if hasSession(t, s, "amy3") || !hasSession(t, s, "bob1") {
			t.Error("not exactly the sessions of amy were removed")
		}
		update(t, s, func(tx *store.Tx) error { return tx.DeleteUser(bob) })
		if hasSession(t, s, "bob1") {
			t.Error("a session outlived its account")
		}
	})
}

func TestSettings(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		for _, value := range []string{"a", "b"} {
			update(t, s, func(tx *store.Tx) error { return tx.SetSetting("key", value) })
			view(t, s, func(tx *store.Tx) error {
				all, err := tx.Settings()
				if err != nil || all["key"] != value {
					t.Errorf("settings = %v, %v, want key=%s", all, err, value)
				}
				return nil
			})
		}
	})
}

func TestStatisticsCountWhatIsVisible(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		amy := addAccount(t, s, "amy")
		update(t, s, func(tx *store.Tx) error {
			for _, p := range []core.Project{{Name: "open", Public: true}, {Name: "shut"}, {Name: "shut2"}} {
				p.QuotaHard = -1
				id, err := tx.CreateProject(p)
				if err != nil {
					return err
				}
				if _, err := tx.AddUsage(id, 10); err != nil {
					return err
				}
			}
			return nil
		})
		tests := []struct {
			name string
			who  store.Visibility
			want store.Statistics
		}{
			{"admin", store.Visibility{All: true}, store.Statistics{PublicProjects: 1, PrivateProjects: 2, Bytes: 30}},
			{"amy", store.Visibility{UserID: amy}, store.Statistics{PublicProjects: 1, Bytes: 10}},
			{"anonymous", store.Visibility{}, store.Statistics{PublicProjects: 1, Bytes: 10}},
		}
		view(t, s, func(tx *store.Tx) error {
			for _, tt := range tests {
				if got, err := tx.Statistics(tt.who); err != nil || got != tt.want {
					t.Errorf("%s: %+v, %v, want %+v", tt.name, got, err, tt.want)
				}
			}
			if yes, err := tx.AdministersProject(amy); err != nil || yes {
				t.Errorf("amy administers a project: %v %v", yes, err)
			}
			return nil
		})
	})
}
