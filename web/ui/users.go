package ui

import (
	"context"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func userRole(ctx context.Context, admin bool) string {
	if admin {
		return t(ctx, "role.0")
	}
	return t(ctx, "users.ordinary")
}

// shortRole is userRole for a table.
func shortRole(ctx context.Context, admin bool) string {
	if admin {
		return t(ctx, "users.administrator")
	}
	return t(ctx, "users.ordinary")
}

func signedIn(ctx context.Context, browsers int64) string {
	if browsers == 0 {
		return t(ctx, "users.browsers.none")
	}
	return n(ctx, "users.browsers", browsers)
}

func secretWord(ctx context.Context, has bool) string {
	if has {
		return t(ctx, "users.secret.yes")
	}
	return t(ctx, "users.secret.no")
}

func day(ctx context.Context, at time.Time) string { return i18n.Day(ctx, at) }

func adminDialog(ctx context.Context, v UserView) Confirm {
	c := Confirm{ID: "dialog-admin", Action: v.path("/sysadmin"), Title: t(ctx, "users.admin.on.title", v.Name),
		Text: t(ctx, "users.admin.on.text"), Verb: t(ctx, "users.admin.on"), Hidden: []Hidden{{"sysadmin", "true"}}, Safe: true}
	if v.Admin {
		c.Title, c.Text, c.Verb = t(ctx, "users.admin.off.title", v.Name), t(ctx, "users.admin.off.text"), t(ctx, "users.admin.off")
		c.Hidden = []Hidden{{"sysadmin", "false"}}
	}
	return c
}

func disableDialog(ctx context.Context, v UserView) Confirm {
	return Confirm{ID: "dialog-disable", Action: v.path("/disabled"), Title: t(ctx, "users.disable.title", v.Name),
		Text: t(ctx, "users.disable.text"), Verb: t(ctx, "users.disable"), Hidden: []Hidden{{"disabled", "true"}}}
}

func deleteDialog(ctx context.Context, v UserView) Confirm {
	return Confirm{ID: "dialog-delete", Action: v.path("/delete"), Title: t(ctx, "users.delete.title", v.Name),
		Text: t(ctx, "users.delete.sure"), Verb: t(ctx, "users.delete")}
}

// agentName is a browser as people call it, from how it calls itself.
func agentName(ctx context.Context, agent string) string {
	find := func(names [][2]string) string {
		for _, n := range names {
			if strings.Contains(agent, n[0]) {
				return n[1]
			}
		}
		return ""
	}
	browser := find([][2]string{{"Firefox/", "Firefox"}, {"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Chromium/", "Chromium"},
		{"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"}})
	system := find([][2]string{{"Android", "Android"}, {"iPhone", "iOS"}, {"iPad", "iPadOS"}, {"Windows", "Windows"},
		{"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"}})
	switch {
	case browser == "":
		return t(ctx, "profile.agent.unknown")
	case system == "":
		return browser
	}
	return t(ctx, "profile.agent", browser, system)
}

func replaceSecretDialog(ctx context.Context, v ProfileView) Confirm {
	return Confirm{ID: "dialog-replace", Action: "/profile/secret", Title: t(ctx, "profile.secret.replace.title"),
		Text: t(ctx, "profile.secret.replace.text"), Verb: t(ctx, "profile.secret.replace"), Hidden: []Hidden{{"once", v.SecretForm.Once}}, Safe: true}
}

func removeSecretDialog(ctx context.Context) Confirm {
	return Confirm{ID: "dialog-remove", Action: "/profile/secret/delete", Title: t(ctx, "profile.secret.remove.title"),
		Text: t(ctx, "profile.secret.remove.text"), Verb: t(ctx, "profile.secret.remove")}
}
