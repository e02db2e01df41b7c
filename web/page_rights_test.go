package web_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// pageEntry is what the test knows of a page. {name} in query and form stands
// for a value of the place that is tried.
type pageEntry struct {
	rule   rule
	open   bool // answers those who have not signed in
	query  string
	form   string
	want   []int // what is allowed answers with; nil is 200 for GET, else 303
	denied int   // what is refused to those who may see the place answers with; 0 is 403
	values map[string]string
}

// pageTable is the rights of every page.
var pageTable = map[string]pageEntry{
	"GET /assets/*":     {rule: rule{scope: anyone}, open: true, want: []int{404}},
	"GET /login":        {rule: rule{scope: anyone}, open: true, want: []int{200, 303}},
	"POST /login":       {rule: rule{scope: anyone}, open: true, want: []int{422}},
	"POST /logout":      {rule: rule{scope: anyone}, open: true},
	"POST /preferences": {rule: rule{scope: anyone}, open: true, form: "theme=dark&back=/"},
	"GET /":             {rule: rule{scope: aUser}},
	"GET /projects":     {rule: rule{scope: aUser}},
	"GET /projects/new": {rule: rule{scope: makesProjects}},
	"POST /projects":    {rule: rule{scope: makesProjects}, form: "name=page-made&access=private"},

	"GET /search":                         {rule: rule{scope: aUser}, query: "q=app"},
	"GET /certificate":                    {rule: rule{scope: anyone}, open: true},
	"GET /admin/certificate":              {rule: systemWide(core.ResCertificate, core.ActRead)},
	"POST /admin/certificate":             {rule: systemWide(core.ResCertificate, core.ActUpdate), form: "certificate=C&key=K"},
	"POST /admin/certificate/renew":       {rule: systemWide(core.ResCertificate, core.ActUpdate)},
	"POST /admin/certificate/renew-ca":    {rule: systemWide(core.ResCertificate, core.ActUpdate)},
	"POST /admin/certificate/remove":      {rule: systemWide(core.ResCertificate, core.ActUpdate)},
	"GET /admin/configuration":            {rule: systemWide(core.ResConfiguration, core.ActRead)},
	"POST /admin/configuration":           {rule: systemWide(core.ResConfiguration, core.ActUpdate), want: []int{409}}, // it says nothing of what was seen
	"GET /admin/audit":                    {rule: rule{scope: aUser}},
	"GET /admin/audit/export":             {rule: rule{scope: aUser}, query: "format=csv"},
	"GET /admin/gc":                       {rule: rule{scope: sysadmins}},
	"POST /admin/gc":                      {rule: rule{scope: sysadmins}, form: "run=dry"},
	"POST /admin/gc/schedule":             {rule: rule{scope: sysadmins}, form: "type=Daily"},
	"GET /admin/feeds":                    {rule: rule{scope: sysadmins}},
	"GET /admin/feeds/live":               {rule: rule{scope: sysadmins}},
	"GET /admin/feeds/events":             {rule: rule{scope: sysadmins}},
	"POST /admin/feeds/update":            {rule: rule{scope: sysadmins}, form: "feed=debian"},
	"POST /admin/feeds/import":            {rule: rule{scope: sysadmins}, form: "a bundle"},
	"POST /admin/feeds/schedule":          {rule: rule{scope: sysadmins}, form: "type=Weekly"},
	"POST /admin/feeds/runs/:run_id/stop": {rule: rule{scope: sysadmins}},
	"GET /admin/feeds/:feed_name":         {rule: rule{scope: sysadmins}},
	"POST /admin/feeds/:feed_name":        {rule: rule{scope: sysadmins}, form: "url-tracker=https://mirror.example/json"},
	"POST /admin/feeds/:feed_name/on":     {rule: rule{scope: sysadmins}},
	"GET /security":                       {rule: systemWide(core.ResSecurityHub, core.ActRead)},
	"GET /security/search":                {rule: systemWide(core.ResSecurityHub, core.ActList), query: "cve=CVE-2026-7"},
	"GET /admin/scanning":                 {rule: systemWide(core.ResScanAll, core.ActRead)},
	"GET /admin/scanning/live":            {rule: systemWide(core.ResScanAll, core.ActRead)},
	"GET /admin/scanning/events":          {rule: systemWide(core.ResScanAll, core.ActRead)},
	"POST /admin/scanning":                {rule: systemWide(core.ResScanAll, core.ActCreate)},
	"POST /admin/scanning/stop":           {rule: systemWide(core.ResScanAll, core.ActStop)},
	"POST /admin/scanning/schedule":       {rule: systemWide(core.ResScanAll, core.ActUpdate), form: "type=Daily"},
	"POST /admin/scanning/allowlist":      {rule: systemWide(core.ResConfiguration, core.ActUpdate), form: "items=CVE-2026-77"},
	"GET /admin/jobs":                     {rule: rule{scope: sysadmins}},
	"GET /admin/jobs/:job_id":             {rule: rule{scope: sysadmins}},
	"GET /admin/jobs/:job_id/live":        {rule: rule{scope: sysadmins}},
	"GET /admin/jobs/:job_id/events":      {rule: rule{scope: sysadmins}, values: map[string]string{"job_id": "{ended_job}"}},
	"POST /admin/jobs/:job_id/stop":       {rule: rule{scope: sysadmins}},

	"GET /profile":                {rule: rule{scope: aUser}},
	"POST /profile":               {rule: rule{scope: aUser}, form: "email=new@example.com"},
	"POST /profile/password":      {rule: rule{scope: aUser}, form: "current=" + password + "&password=Other-Horse-2", want: []int{303}},
	"POST /profile/secret":        {rule: rule{scope: aUser}, want: []int{200}},
	"POST /profile/secret/delete": {rule: rule{scope: aUser}},
	"POST /profile/sessions":      {rule: rule{scope: aUser}},

	"GET /users":                    {rule: systemWide(core.ResUser, core.ActList)},
	"GET /users/new":                {rule: systemWide(core.ResUser, core.ActCreate)},
	"POST /users":                   {rule: systemWide(core.ResUser, core.ActCreate), form: "username=fresh&password=" + password},
	"GET /users/:user_id":           {rule: systemWide(core.ResUser, core.ActRead)},
	"POST /users/:user_id":          {rule: systemWide(core.ResUser, core.ActUpdate), form: "realname=New"},
	"POST /users/:user_id/password": {rule: systemWide(core.ResUser, core.ActUpdate), form: "password=Other-Horse-2"},
	"POST /users/:user_id/sysadmin": {rule: rule{scope: sysadmins}, form: "sysadmin=true"},
	"POST /users/:user_id/disabled": {rule: systemWide(core.ResUser, core.ActUpdate), form: "disabled=true"},
	"POST /users/:user_id/sessions": {rule: systemWide(core.ResUser, core.ActUpdate)},
	"POST /users/:user_id/delete":   {rule: systemWide(core.ResUser, core.ActDelete)},

	"GET " + aProject: {rule: project(core.ResProject, core.ActRead)},

	"GET " + aProject + "/members":              {rule: project(core.ResMember, core.ActList)},
	"GET " + aProject + "/members/new":          {rule: project(core.ResMember, core.ActCreate), query: "user=by"},
	"POST " + aProject + "/members":             {rule: project(core.ResMember, core.ActCreate), form: "user=1&role=3"},
	"POST " + aProject + "/members/:mid":        {rule: project(core.ResMember, core.ActUpdate), form: "role-{mid}=5"},
	"POST " + aProject + "/members/:mid/delete": {rule: project(core.ResMember, core.ActDelete)},

	"GET /admin/robots":                         {rule: systemWide(core.ResRobot, core.ActList)},
	"GET /admin/robots/new":                     {rule: systemWide(core.ResRobot, core.ActCreate)},
	"POST /admin/robots":                        {rule: systemWide(core.ResRobot, core.ActCreate), form: "name=fresh&days=7&where=all&access=pull"},
	"GET /admin/robots/:system_robot":           {rule: systemWide(core.ResRobot, core.ActRead)},
	"GET /admin/robots/:system_robot/access":    {rule: systemWide(core.ResRobot, core.ActUpdate), query: "kind=system&in=/"},
	"POST /admin/robots/:system_robot/access":   {rule: systemWide(core.ResRobot, core.ActUpdate), form: "kind=project&in=*&access=push"},
	"POST /admin/robots/:system_robot/secret":   {rule: systemWide(core.ResRobot, core.ActUpdate)},
	"POST /admin/robots/:system_robot/disabled": {rule: systemWide(core.ResRobot, core.ActUpdate), form: "disabled=true"},
	"POST /admin/robots/:system_robot/delete":   {rule: systemWide(core.ResRobot, core.ActDelete)},

	"GET " + aProject + "/robots":                     {rule: project(core.ResRobot, core.ActList)},
	"GET " + aProject + "/robots/new":                 {rule: project(core.ResRobot, core.ActCreate)},
	"POST " + aProject + "/robots":                    {rule: project(core.ResRobot, core.ActCreate), form: "name=fresh&days=7&access=pull"},
	"GET " + aProject + "/robots/:robot_id":           {rule: project(core.ResRobot, core.ActRead)},
	"GET " + aProject + "/robots/:robot_id/access":    {rule: project(core.ResRobot, core.ActUpdate)},
	"POST " + aProject + "/robots/:robot_id/access":   {rule: project(core.ResRobot, core.ActUpdate), form: "access=push"},
	"POST " + aProject + "/robots/:robot_id/secret":   {rule: project(core.ResRobot, core.ActUpdate)},
	"POST " + aProject + "/robots/:robot_id/disabled": {rule: project(core.ResRobot, core.ActUpdate), form: "disabled=true"},
	"POST " + aProject + "/robots/:robot_id/delete":   {rule: project(core.ResRobot, core.ActDelete)},

	"GET " + aProject + "/policies":                                           {rule: project(core.ResTagRetention, core.ActRead)}, // whoever may read the metadata may this, too
	"POST " + aProject + "/policies":                                          {rule: project(core.ResMetadata, core.ActUpdate), form: "access=public&untagged_days=9"},
	"GET " + aProject + "/policies/immutability/new":                          {rule: project(core.ResImmutableTag, core.ActCreate)},
	"POST " + aProject + "/policies/immutability":                             {rule: project(core.ResImmutableTag, core.ActCreate), form: "repositories=**&tags=fresh*"},
	"POST " + aProject + "/policies/immutability/:immutable_rule_id/disabled": {rule: project(core.ResImmutableTag, core.ActUpdate), form: "disabled=true"},
	"POST " + aProject + "/policies/immutability/:immutable_rule_id/delete":   {rule: project(core.ResImmutableTag, core.ActDelete)},

	"GET " + aProject + "/policies/trust/new":                {rule: project(core.ResMetadata, core.ActUpdate), query: "type=notation-crl"},
	"POST " + aProject + "/policies/trust":                   {rule: project(core.ResMetadata, core.ActUpdate), form: "type=cosign-identity&name=fresh&issuer=https://issuer.test&subject=x"},
	"GET " + aProject + "/policies/trust/:anchor_id":         {rule: project(core.ResConfiguration, core.ActRead)},
	"POST " + aProject + "/policies/trust/:anchor_id":        {rule: project(core.ResMetadata, core.ActUpdate), form: "name=renamed&issuer=https://issuer.test&subject=x"},
	"POST " + aProject + "/policies/trust/:anchor_id/delete": {rule: project(core.ResMetadata, core.ActUpdate)},
	"GET " + aProject + "/policies/allowlist":                {rule: project(core.ResProject, core.ActUpdate)},
	"POST " + aProject + "/policies/allowlist":               {rule: project(core.ResProject, core.ActUpdate), form: "source=own&items=CVE-2021-44228+cve-2026-1"},

	"GET " + aRetention:                                  {rule: project(core.ResTagRetention, core.ActRead)},
	"GET " + aRetention + "/new":                         {rule: project(core.ResTagRetention, core.ActUpdate)},
	"POST " + aRetention + "/rules":                      {rule: project(core.ResTagRetention, core.ActUpdate), form: "template=always&repositories=**&tags=fresh*&untagged=true"},
	"POST " + aRetention + "/rules/delete":               {rule: project(core.ResTagRetention, core.ActUpdate), form: "rule=0"},
	"POST " + aRetention + "/schedule":                   {rule: project(core.ResTagRetention, core.ActUpdate), form: "schedule=weekly"},
	"POST " + aRetention + "/runs":                       {rule: project(core.ResTagRetention, core.ActUpdate), form: "dry=true"},
	"GET " + aRetention + "/runs/:execution_id":          {rule: project(core.ResTagRetention, core.ActRead)},
	"POST " + aRetention + "/runs/:execution_id/stop":    {rule: project(core.ResTagRetention, core.ActUpdate)},
	"GET " + aRetention + "/runs/:execution_id/:task_id": {rule: project(core.ResTagRetention, core.ActRead)},

	"GET /notifications":                              {rule: rule{scope: aUser}},
	"POST /notifications/seen":                        {rule: rule{scope: aUser}, form: "through=1"},
	"GET /about":                                      {rule: rule{scope: aUser}},
	"GET /about/licence":                              {rule: rule{scope: aUser}, query: "of=htmx.org"},
	"GET /admin/quotas":                               {rule: systemWide(core.ResQuota, core.ActList)},
	"GET /admin/labels":                               {rule: rule{scope: aUser}},
	"GET /admin/labels/new":                           {rule: systemWide(core.ResLabel, core.ActCreate)},
	"POST /admin/labels":                              {rule: systemWide(core.ResLabel, core.ActCreate), form: "name=fresh&color=%230E7C9F"},
	"GET /admin/labels/:global_label":                 {rule: systemWide(core.ResLabel, core.ActUpdate)},
	"POST /admin/labels/:global_label":                {rule: systemWide(core.ResLabel, core.ActUpdate), form: "name=renamed&was-name=everywhere"},
	"POST /admin/labels/:global_label/delete":         {rule: systemWide(core.ResLabel, core.ActDelete)},
	"GET " + aProject + "/labels":                     {rule: project(core.ResLabel, core.ActList)},
	"GET " + aProject + "/labels/new":                 {rule: project(core.ResLabel, core.ActCreate)},
	"POST " + aProject + "/labels":                    {rule: project(core.ResLabel, core.ActCreate), form: "name=fresh"},
	"GET " + aProject + "/labels/:label_id":           {rule: project(core.ResLabel, core.ActUpdate)},
	"POST " + aProject + "/labels/:label_id":          {rule: project(core.ResLabel, core.ActUpdate), form: "name=renamed&was-name=label_id"},
	"POST " + aProject + "/labels/:label_id/delete":   {rule: project(core.ResLabel, core.ActDelete)},
	"GET " + anArtifact + "/labels":                   {rule: project(core.ResArtifact, core.ActRead)},
	"POST " + anArtifact + "/labels":                  {rule: project(core.ResArtifactLabel, core.ActCreate), form: "label={free_label}"},
	"POST " + anArtifact + "/labels/:label_id/delete": {rule: project(core.ResArtifactLabel, core.ActDelete)},

	"GET " + aProject + "/settings":         {rule: project(core.ResQuota, core.ActRead)},
	"POST " + aProject + "/settings/quota":  {rule: systemWide(core.ResQuota, core.ActUpdate), form: "limit=5&was=0"},
	"POST " + aProject + "/settings/delete": {rule: project(core.ResProject, core.ActDelete), want: []int{412}},
	"GET " + aProject + "/logs":             {rule: project(core.ResLog, core.ActList)},

	"GET " + aRepository:                   {rule: project(core.ResArtifact, core.ActList)},
	"GET " + aRepository + "/tags":         {rule: project(core.ResTag, core.ActList)},
	"GET " + aRepository + "/description":  {rule: project(core.ResArtifact, core.ActList)},
	"POST " + aRepository + "/description": {rule: project(core.ResRepository, core.ActUpdate), form: "description=new&was="},
	"POST " + aRepository + "/delete":      {rule: project(core.ResRepository, core.ActDelete)},
	"POST " + aRepository + "/tags/delete": {rule: project(core.ResTag, core.ActDelete), form: "tag={tag_name}&digest={reference}"},

	"GET " + aProject + "/scan/live":        {rule: project(core.ResProject, core.ActRead)},
	"GET " + aProject + "/scan/events":      {rule: project(core.ResProject, core.ActRead)},
	"POST " + aProject + "/scan":            {rule: project(core.ResScan, core.ActCreate)},
	"POST " + aProject + "/scan/stop":       {rule: project(core.ResScan, core.ActStop)},
	"GET " + aRepository + "/scan/live":     {rule: project(core.ResArtifact, core.ActList)},
	"GET " + aRepository + "/scan/events":   {rule: project(core.ResArtifact, core.ActList)},
	"POST " + aRepository + "/scan":         {rule: project(core.ResScan, core.ActCreate)},
	"POST " + aRepository + "/scan/stop":    {rule: project(core.ResScan, core.ActStop)},
	"GET " + anArtifact + "/scan/live":      {rule: project(core.ResArtifact, core.ActRead)},
	"GET " + anArtifact + "/scan/events":    {rule: project(core.ResArtifact, core.ActRead)},
	"POST " + anArtifact + "/scan":          {rule: project(core.ResScan, core.ActCreate)},
	"POST " + anArtifact + "/scan/stop":     {rule: project(core.ResScan, core.ActStop)},
	"GET " + aRepository + "/trust":         {rule: project(core.ResArtifact, core.ActList)},
	"POST " + aRepository + "/trust/delete": {rule: project(core.ResRepository, core.ActDelete), form: "gun=registry.test:8443/{repository}"},
	"GET /admin/signatures":                 {rule: systemWide(core.ResConfiguration, core.ActRead)},

	"GET " + anArtifact + "/vulnerabilities":      {rule: project(core.ResArtifact, core.ActRead)},
	"GET " + aProject + "/vulnerabilities/csv":    {rule: project(core.ResExportCVE, core.ActCreate)},
	"GET " + anArtifact + "/vulnerabilities/csv":  {rule: project(core.ResArtifact, core.ActRead)},
	"GET " + anArtifact + "/vulnerabilities/:cve": {rule: project(core.ResArtifact, core.ActRead), values: map[string]string{"cve": "CVE-2026-7"}},
	"GET " + anArtifact + "/sbom":                 {rule: project(core.ResArtifact, core.ActRead)},
	"POST " + anArtifact + "/sbom":                {rule: project(core.ResSBOM, core.ActCreate)},

	"GET " + anArtifact:                {rule: project(core.ResArtifact, core.ActRead)},
	"GET " + anArtifact + "/layers":    {rule: project(core.ResArtifact, core.ActRead)},
	"GET " + anArtifact + "/referrers": {rule: project(core.ResArtifact, core.ActRead)},
	"GET " + anArtifact + "/tags":      {rule: project(core.ResArtifact, core.ActRead)},
	"POST " + anArtifact + "/tags":     {rule: project(core.ResTag, core.ActCreate), form: "tag=another"},
	"POST " + anArtifact + "/delete":   {rule: project(core.ResArtifact, core.ActDelete)},
	"GET " + anArtifact + "/copy":      {rule: project(core.ResArtifact, core.ActRead)},
	"POST " + anArtifact + "/copy":     {rule: project(core.ResArtifact, core.ActCreate), form: "project={project}&repository=copied&tag=", denied: 422},
}

// The paths of a project and of what is in it.
const (
	aProject    = "/projects/:project_name"
	aRetention  = aProject + "/policies/retention"
	aRepository = aProject + "/repositories/:repository_name"
	anArtifact  = aRepository + "/artifacts/:reference"
)

// TestPageRights opens every page as every user on every kind of project. The
// rules are those of the API; a page that the table does not have fails it.
func TestPageRights(t *testing.T) {
	w := newWorld(t, nil)
	delete(w.tables, "session") // signing in and out changes it
	visitors := w.signInAll(t)
	checkPageTable(t, w.routes)
	for _, key := range slices.Sorted(maps.Keys(pageTable)) {
		t.Run(key, func(t *testing.T) {
			for _, v := range visitors {
				w.tryPage(t, key, pageTable[key], v)
			}
		})
	}
}

func checkPageTable(t *testing.T, routes []string) {
	ruled := map[string]bool{}
	for key := range pageTable {
		route, _, _ := strings.Cut(key, " #")
		ruled[route] = true
	}
	for _, route := range routes {
		if isPage(route) && !ruled[route] {
			t.Errorf("%s has no rule: add it to the table and say who may use it", route)
		}
		delete(ruled, route)
	}
	for route := range ruled {
		t.Errorf("%s has a rule, but there is no such page", route)
	}
}

// visitor is a person at a browser.
type visitor struct {
	*person
	sign func() *http.Cookie
}

// signInAll gives the users of the world their sessions. Robot accounts have
// none: they never see a page.
func (w *world) signInAll(t *testing.T) []visitor {
	t.Helper()
	var all []visitor
	for _, p := range w.people {
		switch p.id.Kind {
		case core.KindAnonymous:
			all = append(all, visitor{p, nil})
		case core.KindUser:
			all = append(all, visitor{p, w.signer(t, p)})
		}
	}
	return all
}

// signer returns the session of p, and a new one when the last has ended.
func (w *world) signer(t *testing.T, p *person) func() *http.Cookie {
	var token string
	return func() *http.Cookie {
		if _, err := w.app.Resume(t.Context(), token); err != nil {
			if token, err = w.app.SignIn(t.Context(), p.name, password, core.Origin{}); err != nil {
				t.Fatal(err)
			}
		}
		return &http.Cookie{Name: "__Host-breakwater", Value: token}
	}
}

func (w *world) tryPage(t *testing.T, key string, e pageEntry, v visitor) {
	places := []place{w.own}
	switch text := key + e.query + e.form; {
	case strings.Contains(text, "user_id"):
		places = []place{{label: "other", user: w.other, values: map[string]string{"user_id": strconv.FormatInt(w.other, 10)}},
			{label: "absent", values: map[string]string{"user_id": "7999904"}}}
	case mentionsProject(text):
		places = []place{w.own, w.open, w.foreign, w.absent}
	}
	answers := map[string]string{}
	for _, at := range places {
		values := map[string]string{}
		for name, template := range e.values {
			values[name] = at.fill(template)
		}
		at = at.but(values)
		rec := w.openPage(t, key, e, v, at)
		w.judge(t, key, e, v, at, rec)
		if hidden := at.label == w.foreign.label || at.label == "absent"; hidden && !v.sees(w.foreign) && !e.rule.allows(v.person, at) {
			answers[answer(rec, at)] = at.label
		}
	}
	if len(answers) > 1 {
		t.Errorf("%s tells a hidden object from an absent one to %s:\n%s", key, v.name, describeAnswers(answers))
	}
}

func (w *world) openPage(t *testing.T, key string, e pageEntry, v visitor, at place) *httptest.ResponseRecorder {
	t.Helper()
	route, _, _ := strings.Cut(key, " #")
	method, path, _ := strings.Cut(route, " ")
	address := fillEscaped(path, at)
	if e.query != "" {
		address += "?" + at.fill(e.query)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, address, strings.NewReader(at.fill(e.form)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("X-Request-Id", "page")
	if v.sign != nil {
		r.AddCookie(v.sign())
		r.Header.Set("Authorization", "Basic bm9ib2R5Om5vYm9keQ==") // pages do not look at it
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(firstEvent{rec, cancel}, r)
	return rec
}

// firstEvent is a reader that goes away once it was sent something: a stream of
// events may go on for ever.
type firstEvent struct {
	*httptest.ResponseRecorder
	leave func()
}

func (f firstEvent) Flush() {
	f.ResponseRecorder.Flush()
	f.leave()
}

// fillEscaped is place.fill for a path, where a slash in a value is none of the path's.
func fillEscaped(path string, at place) string {
	escaped := map[string]string{}
	for name, value := range at.values {
		escaped[name] = url.PathEscape(value)
	}
	return at.but(escaped).fill(path)
}

func (w *world) judge(t *testing.T, key string, e pageEntry, v visitor, at place, rec *httptest.ResponseRecorder) {
	t.Helper()
	allowed := e.rule.allows(v.person, at)
	changed := w.changed(t)
	if changed != nil {
		w.restore(t)
	}
	toLogin := rec.Code == 303 && strings.HasPrefix(rec.Header().Get("Location"), "/login")
	var ok bool
	switch {
	case v.anonymous() && !e.open:
		ok, allowed = toLogin, false
	case !allowed:
		ok = rec.Code == 403 || rec.Code == 404 && strings.Contains(key, "user_id") || rec.Code == e.denied && v.sees(at)
	case at.label == "absent":
		ok = rec.Code == 404
	case e.want != nil:
		ok = slices.Contains(e.want, rec.Code)
	case strings.HasPrefix(key, "GET "):
		ok = rec.Code == 200
	default:
		ok = rec.Code == 303 && (!toLogin || strings.Contains(key, "/logout"))
	}
	if !ok {
		t.Errorf("%s as %s on %s = %d %s\n%.2000s", key, v.name, at.label, rec.Code, rec.Header().Get("Location"), rec.Body)
	}
	if !allowed && changed != nil {
		t.Errorf("%s as %s on %s was refused and changed %v", key, v.name, at.label, changed)
	}
	body := rec.Body.String()
	if strings.Contains(body, "$argon2id") || strings.Contains(body, theirs) && !v.sees(w.foreign) && at.label != w.foreign.label {
		t.Errorf("%s shows %s what it must not", key, v.name)
	}
}
