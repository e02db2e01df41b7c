package app

import (
	"context"
	"time"

	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
)

// sessionIDLength is how many digits of a session's hash name it: enough to be
// unique within an account, and no help to find the token.
const sessionIDLength = 16

// BrowserSession is a browser in which an account is signed in.
type BrowserSession struct {
	ID        string
	Address   string
	Agent     string // of the browser, in its own words
	CreatedAt time.Time
	UsedAt    time.Time
}

// SessionID names the session of a token.
func SessionID(token string) string { return auth.HashSecret(token)[:sessionIDLength] }

// Sessions lists the browsers in which an account is signed in: one's own, or
// anybody's for those who may read users.
func (a *App) Sessions(ctx context.Context, c core.Caller, id int64) (all []BrowserSession, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if _, err := s.account(id, core.ActRead); err != nil {
			return err
		}
		rows, err := s.Tx.Sessions(id)
		for _, row := range rows {
			ended := !s.Now().Before(row.ExpiresAt) || s.Now().Sub(row.UsedAt) > a.Settings().SessionTimeout
			if !ended {
				all = append(all, BrowserSession{row.Hash[:sessionIDLength], row.Address, row.Agent, row.CreatedAt, row.UsedAt})
			}
		}
		return err
	})
	return all, err
}

// EndSession signs an account out of one browser; CodeNotFound when it is not
// signed in there.
func (a *App) EndSession(ctx context.Context, c core.Caller, id int64, sessionID string) error {
	ended, err := a.endSessions(ctx, c, id, func(name string) bool { return name == sessionID })
	if err == nil && ended == 0 {
		return core.Errorf(core.CodeNotFound, "there is no such session; it may have ended already")
	}
	return err
}

// EndSessions signs an account out of all browsers but the one whose session is
// named keep, which may be "".
func (a *App) EndSessions(ctx context.Context, c core.Caller, id int64, keep string) error {
	_, err := a.endSessions(ctx, c, id, func(name string) bool { return name != keep })
	return err
}

func (a *App) endSessions(ctx context.Context, c core.Caller, id int64, which func(string) bool) (ended int, err error) {
	err = a.update(ctx, c, func(s *session) error {
		u, err := s.account(id, core.ActUpdate)
		if err != nil {
			return err
		}
		rows, err := s.Tx.Sessions(id)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if !which(row.Hash[:sessionIDLength]) {
				continue
			}
			if err := s.DeleteSession(row.Hash); err != nil {
				return err
			}
			ended++
		}
		if ended == 0 {
			return nil
		}
		return s.audit(act{operation: "update", resourceType: "user", resource: u.Username, description: "sessions ended"})
	})
	return ended, err
}
