package web

import (
	"context"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// The sections of the navigation; a page names the one to which it belongs.
const (
	sectionOverview = "overview"
	sectionProjects = "projects"
	sectionProfile  = "profile"
	sectionUsers    = "users"
	sectionJobs     = "jobs"
	sectionGC       = "gc"
	sectionConfig   = "configuration"
	sectionAudit    = "audit"
	sectionCert     = "certificate"
	sectionLabels   = "labels"
	sectionRobots   = "robots"
	sectionQuotas   = "quotas"
	sectionAbout    = "about"
	sectionInbox    = "inbox"
	sectionFeeds    = "feeds"
	sectionScanning = "scanning"
	sectionSecurity = "security"
)

// navEntry is one entry of the navigation. Its text is frame.nav.SECTION.
type navEntry struct {
	section, path, icon string
}

// mainEntries are there for everyone who has signed in.
func mainEntries() []navEntry {
	return []navEntry{
		{sectionOverview, "/", "gauge"},
		{sectionProjects, "/projects", "box"},
	}
}

// adminEntries are there for those who administer the registry.
func adminEntries() []navEntry {
	return []navEntry{
		{sectionUsers, "/users", "users"},
		{sectionRobots, systemRobots, "robot"},
		{sectionQuotas, quotasPath, "disk"},
		{sectionLabels, labelsOfAll, "tag"},
		{sectionConfig, "/admin/configuration", "gear"},
		{sectionCert, "/admin/certificate", "lock"},
		{sectionFeeds, feedsPage, "feed"},
		{sectionScanning, scanningPage, "scan"},
		{sectionGC, "/admin/gc", "trash"},
		{sectionJobs, "/admin/jobs", "jobs"},
		{sectionAudit, "/admin/audit", "audit"},
	}
}

// navigation is the navigation of one reader.
func navigation(ctx context.Context, account app.Me) []ui.NavGroup {
	entries := mainEntries()
	if account.SeesSecurity {
		entries = append(entries, navEntry{sectionSecurity, securityPage, "shield"})
	}
	groups := []ui.NavGroup{navGroup(ctx, "", entries)}
	if entries := adminEntries(); account.Administers && len(entries) > 0 {
		groups = append(groups, navGroup(ctx, i18n.T(ctx, "frame.nav.administration"), entries))
	}
	return groups
}

func navGroup(ctx context.Context, title string, entries []navEntry) ui.NavGroup {
	group := ui.NavGroup{Title: title}
	for _, e := range entries {
		group.Links = append(group.Links, ui.NavLink{Section: e.section, Path: e.path, Icon: e.icon, Label: i18n.T(ctx, "frame.nav."+e.section)})
	}
	return group
}
