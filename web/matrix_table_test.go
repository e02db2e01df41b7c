package web_test

import (
	"net/http"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// scope says who is meant by a rule.
type scope int

const (
	anyone   scope = iota
	signedIn       // every account
	aUser          // every account but a robot's
	inProject
	onSystem
	selfOrSystem
	sysadmins
	makesProjects   // users, and robot accounts with project:create
	administersSome // system admins and administrators of any project
)

// rule is who may use a route.
type rule struct {
	scope      scope
	permission core.Permission
}

func project(resource core.Resource, action core.Action) rule {
	return rule{inProject, core.Permission{Resource: resource, Action: action}}
}

func systemWide(resource core.Resource, action core.Action) rule {
	return rule{onSystem, core.Permission{Resource: resource, Action: action}}
}

func ownOr(resource core.Resource, action core.Action) rule {
	return rule{selfOrSystem, core.Permission{Resource: resource, Action: action}}
}

// allows says who may, by the matrix of internal/core.
func (r rule) allows(p *person, at place) bool {
	user := p.id.Kind == core.KindUser
	switch r.scope {
	case anyone:
		return true
	case signedIn:
		return !p.anonymous()
	case aUser:
		return user
	case inProject:
		return p.may(at, r.permission)
	case onSystem:
		return p.onSystem(r.permission)
	case selfOrSystem:
		return user && at.user == p.id.ID || p.onSystem(r.permission)
	case sysadmins:
		return p.sysadmin
	case makesProjects:
		return user || p.onSystem(r.permission)
	case administersSome:
		return p.sysadmin || p.name == "padmin"
	}
	return false
}

// filters says whether the route answers everyone, with what each may see.
func (r rule) filters() bool { return r.scope == anyone || r.scope == signedIn }

// entry is what the test knows of a route. {name} in query and body stands for
// a value of the place that is tried.
type entry struct {
	rule   rule
	query  string
	body   string
	form   string            // the media type of the body, when it is not JSON
	want   int               // the status when it is allowed; 0 is 200
	values map[string]string // other values for this route
	bare   bool              // needs a project without repositories
	free   bool              // takes no credentials but those in its body
	narrow bool              // a robot account with that one permission has too few rights for what the body asks
	hides  core.Resource     // a refused account is told 404, unless it may read this
	nested []string          // the parameters that must belong to the project; nil: all below it
	gap    int               // the status for an object of another project; 0 is 404
	beside int               // the status in another project that may be used too; 0 is as in the own
	check  func(w *world, p *person, at place, body []byte) error
}

// The parameters that must belong to the project before them.
var nestedParameters = []string{"repository_name", "reference", "tag_name", "mid", "manifest", "blob", "upload",
	"immutable_rule_id", "execution_id", "task_id", "report_id"}

var none = []string{}

// table is the rights of every route: "METHOD path", and after a # what the
// request asks for when one route has several rules. Paths are below
// /api/v2.0, but for those of the other parts of the server.
var table = map[string]entry{
	"GET /api/version":   {rule: rule{scope: anyone}, free: true},
	"POST /c/login":      {rule: rule{scope: anyone}, free: true, form: formType, body: "principal=keeper&password=" + password},
	"GET /c/log_out":     {rule: rule{scope: anyone}, free: true},
	"POST /c/log_out":    {rule: rule{scope: anyone}, free: true},
	"GET /service/token": {rule: rule{scope: anyone}, query: "service=breakwater&scope=repository:{repository}:pull,push,delete", check: checkGranted},
	"POST /service/token": {rule: rule{scope: anyone}, free: true, form: formType,
		body: "grant_type=password&service=breakwater&username=keeper&password=" + password},

	"GET /ping":                                       {rule: rule{scope: anyone}},
	"GET /health":                                     {rule: rule{scope: anyone}},
	"GET /openapi.yaml":                               {rule: rule{scope: anyone}},
	"GET /openapi.json":                               {rule: rule{scope: anyone}},
	"GET /systeminfo":                                 {rule: rule{scope: anyone}},
	"GET /systeminfo/getcert":                         {rule: rule{scope: anyone}},
	"GET /systeminfo/volumes":                         {rule: systemWide(core.ResSystemVolumes, core.ActRead)},
	"GET /statistics":                                 {rule: rule{scope: signedIn}},
	"GET /permissions":                                {rule: rule{scope: administersSome}},
	"GET /configurations":                             {rule: systemWide(core.ResConfiguration, core.ActRead)},
	"PUT /configurations":                             {rule: systemWide(core.ResConfiguration, core.ActUpdate), body: `{"session_timeout":61}`},
	"GET /system/certificate":                         {rule: systemWide(core.ResCertificate, core.ActRead)},
	"PUT /system/certificate":                         {rule: systemWide(core.ResCertificate, core.ActUpdate), body: `{"certificate":"C","key":"K"}`},
	"DELETE /system/certificate":                      {rule: systemWide(core.ResCertificate, core.ActUpdate)},
	"POST /system/certificate/renew":                  {rule: systemWide(core.ResCertificate, core.ActUpdate)},
	"POST /system/certificate/renew-ca":               {rule: systemWide(core.ResCertificate, core.ActUpdate)},
	"GET /search":                                     {rule: rule{scope: anyone}, query: "q={project}"},
	"GET /audit-logs":                                 {rule: rule{scope: signedIn}, query: "page_size=100"},
	"GET /auditlog-exts":                              {rule: rule{scope: signedIn}, query: "page_size=100"},
	"GET /audit-logs #project":                        {rule: rule{scope: signedIn}, query: "q=project_id={project_id}"},
	"GET /audit-logs/export":                          {rule: rule{scope: signedIn}, query: "format=jsonl"},
	"GET /projects/:project_name_or_id/logs":          {rule: project(core.ResLog, core.ActList)},
	"GET /projects/:project_name_or_id/auditlog-exts": {rule: project(core.ResLog, core.ActList)},

	"GET /projects/:project_name_or_id/vulnerabilities/export": {rule: project(core.ResExportCVE, core.ActCreate)},

	"GET /users":                                  {rule: systemWide(core.ResUser, core.ActList)},
	"POST /users":                                 {rule: systemWide(core.ResUser, core.ActCreate), body: newUser(``), want: 201},
	"POST /users #system admin":                   {rule: rule{scope: sysadmins}, body: newUser(`,"sysadmin_flag":true`), want: 201},
	"POST /users #the old name":                   {rule: rule{scope: sysadmins}, body: newUser(`,"has_admin_role":true`), want: 201},
	"GET /users/current":                          {rule: rule{scope: aUser}},
	"GET /users/current/permissions":              {rule: rule{scope: signedIn}, query: "scope=/project/{project_id}&relative=true"},
	"GET /users/search":                           {rule: rule{scope: signedIn}, query: "username=stand"},
	"GET /users/:user_id":                         {rule: ownOr(core.ResUser, core.ActRead)},
	"PUT /users/:user_id":                         {rule: ownOr(core.ResUser, core.ActUpdate), body: `{"email":"new@example.com","realname":"New","sysadmin_flag":true,"has_admin_role":true,"user_id":1,"password":"Other-Horse-2"}`},
	"DELETE /users/:user_id":                      {rule: systemWide(core.ResUser, core.ActDelete)},
	"PUT /users/:user_id/password":                {rule: ownOr(core.ResUser, core.ActUpdate), body: `{"old_password":"` + password + `","new_password":"Other-Horse-2"}`},
	"PUT /users/:user_id/sysadmin":                {rule: rule{scope: sysadmins}, body: `{"sysadmin_flag":true}`},
	"PUT /users/:user_id/cli_secret":              {rule: ownOr(core.ResUser, core.ActUpdate), body: `{"secret":"Abcdefgh1jklmnopqrst"}`},
	"DELETE /users/:user_id/cli_secret":           {rule: ownOr(core.ResUser, core.ActUpdate)},
	"PUT /users/:user_id/disabled":                {rule: systemWide(core.ResUser, core.ActUpdate), body: `{"disabled":true}`},
	"GET /users/:user_id/sessions":                {rule: ownOr(core.ResUser, core.ActRead)},
	"DELETE /users/:user_id/sessions":             {rule: ownOr(core.ResUser, core.ActUpdate)},
	"DELETE /users/:user_id/sessions/:session_id": {rule: ownOr(core.ResUser, core.ActUpdate)},

	"GET /projects":                                             {rule: rule{scope: anyone}, query: "page_size=100"},
	"GET /projects #name":                                       {rule: rule{scope: anyone}, query: "name={project}"},
	"GET /projects #q":                                          {rule: rule{scope: anyone}, query: "q=name=~{project}"},
	"HEAD /projects":                                            {rule: project(core.ResProject, core.ActRead), query: "project_name={project}", hides: core.ResProject},
	"POST /projects":                                            {rule: rule{makesProjects, core.Permission{Resource: core.ResProject, Action: core.ActCreate}}, body: `{"project_name":"fresh"}`, want: 201},
	"POST /projects #with an allowlist":                         {rule: rule{makesProjects, core.Permission{Resource: core.ResProject, Action: core.ActCreate}}, body: `{"project_name":"fresh","cve_allowlist":{"items":[{"cve_id":"CVE-2026-9"}]}}`, want: 201},
	"PUT /projects/:project_name_or_id #allowlist":              {rule: project(core.ResProject, core.ActUpdate), body: `{"cve_allowlist":{"items":[{"cve_id":"CVE-2026-9"}],"expires_at":null}}`},
	"POST /projects #with a limit":                              {rule: rule{scope: sysadmins}, body: `{"project_name":"fresh","storage_limit":5}`, want: 201},
	"GET /projects/:project_name_or_id":                         {rule: project(core.ResProject, core.ActRead)},
	"PUT /projects/:project_name_or_id":                         {rule: project(core.ResProject, core.ActUpdate), body: `{"metadata":{"public":"true"}}`},
	"DELETE /projects/:project_name_or_id":                      {rule: project(core.ResProject, core.ActDelete), bare: true},
	"GET /projects/:project_name_or_id/_deletable":              {rule: project(core.ResProject, core.ActDelete)},
	"GET /projects/:project_name_or_id/summary":                 {rule: project(core.ResProject, core.ActRead)},
	"GET /projects/:project_name_or_id/metadatas":               {rule: project(core.ResMetadata, core.ActRead)},
	"GET /projects/:project_name_or_id/metadatas/":              {rule: project(core.ResMetadata, core.ActRead)},
	"POST /projects/:project_name_or_id/metadatas":              {rule: project(core.ResMetadata, core.ActCreate), body: `{"public":"true"}`},
	"POST /projects/:project_name_or_id/metadatas/":             {rule: project(core.ResMetadata, core.ActCreate), body: `{"public":"true"}`},
	"GET /projects/:project_name_or_id/metadatas/:meta_name":    {rule: project(core.ResMetadata, core.ActRead)},
	"PUT /projects/:project_name_or_id/metadatas/:meta_name":    {rule: project(core.ResMetadata, core.ActUpdate), body: `{"public":"true"}`},
	"DELETE /projects/:project_name_or_id/metadatas/:meta_name": {rule: project(core.ResMetadata, core.ActDelete)},

	"GET /projects/:project_name_or_id/members":         {rule: project(core.ResMember, core.ActList)},
	"POST /projects/:project_name_or_id/members":        {rule: project(core.ResMember, core.ActCreate), body: `{"role_id":3,"member_user":{"username":"stranger"}}`, want: 201, narrow: true},
	"GET /projects/:project_name_or_id/members/:mid":    {rule: project(core.ResMember, core.ActRead)},
	"PUT /projects/:project_name_or_id/members/:mid":    {rule: project(core.ResMember, core.ActUpdate), body: `{"role_id":2}`, narrow: true},
	"DELETE /projects/:project_name_or_id/members/:mid": {rule: project(core.ResMember, core.ActDelete)},

	"GET /robots":                      {rule: systemWide(core.ResRobot, core.ActList)},
	"GET /robots #of a project":        {rule: project(core.ResRobot, core.ActList), query: "q=Level=project,ProjectID={project_id}"},
	"POST /robots":                     {rule: project(core.ResRobot, core.ActCreate), body: newRobot("project", "{project}"), want: 201, narrow: true},
	"POST /robots #of the system":      {rule: systemWide(core.ResRobot, core.ActCreate), body: newRobot("system", "*"), want: 201, narrow: true},
	"GET /robots/:robot_id":            {rule: project(core.ResRobot, core.ActRead), hides: core.ResRobot},
	"PUT /robots/:robot_id":            {rule: project(core.ResRobot, core.ActUpdate), hides: core.ResRobot, body: oldRobot, narrow: true},
	"PATCH /robots/:robot_id":          {rule: project(core.ResRobot, core.ActUpdate), hides: core.ResRobot, body: `{}`, narrow: true},
	"DELETE /robots/:robot_id":         {rule: project(core.ResRobot, core.ActDelete), hides: core.ResRobot},
	"GET /robots/:robot_id #system":    {rule: systemWide(core.ResRobot, core.ActRead), hides: core.ResRobot, values: systemRobot},
	"PATCH /robots/:robot_id #system":  {rule: systemWide(core.ResRobot, core.ActUpdate), hides: core.ResRobot, values: systemRobot, body: `{}`, narrow: true},
	"DELETE /robots/:robot_id #system": {rule: systemWide(core.ResRobot, core.ActDelete), hides: core.ResRobot, values: systemRobot},

	"GET /quotas":     {rule: systemWide(core.ResQuota, core.ActList)},
	"GET /quotas/":    {rule: systemWide(core.ResQuota, core.ActList)},
	"GET /quotas/:id": {rule: systemWide(core.ResQuota, core.ActRead)},
	"PUT /quotas/:id": {rule: systemWide(core.ResQuota, core.ActUpdate), body: `{"hard":{"storage":5000000}}`},

	"GET /labels":                                  {rule: rule{scope: signedIn}, query: "scope=g"},
	"GET /labels #of a project":                    {rule: project(core.ResLabel, core.ActList), query: "scope=p&project_id={project_id}"},
	"POST /labels":                                 {rule: systemWide(core.ResLabel, core.ActCreate), body: `{"name":"fresh","scope":"g"}`, want: 201},
	"POST /labels #of a project":                   {rule: project(core.ResLabel, core.ActCreate), body: `{"name":"fresh","scope":"p","project_id":{project_id}}`, want: 201},
	"GET /labels/:label_id":                        {rule: project(core.ResLabel, core.ActRead), hides: core.ResLabel},
	"PUT /labels/:label_id":                        {rule: project(core.ResLabel, core.ActUpdate), hides: core.ResLabel, body: `{"name":"other","color":"#0A6786"}`},
	"DELETE /labels/:label_id":                     {rule: project(core.ResLabel, core.ActDelete), hides: core.ResLabel},
	"POST " + artifactPath + "/labels":             {rule: project(core.ResArtifactLabel, core.ActCreate), body: `{"id":{free_label}}`},
	"DELETE " + artifactPath + "/labels/:label_id": {rule: project(core.ResArtifactLabel, core.ActDelete), nested: []string{"repository_name", "reference", "label_id"}},

	"GET /system/gc":                    {rule: rule{scope: sysadmins}, query: "page_size=100"},
	"GET /system/gc/:gc_id":             {rule: rule{scope: sysadmins}},
	"PUT /system/gc/:gc_id":             {rule: rule{scope: sysadmins}},
	"GET /system/gc/:gc_id/log":         {rule: rule{scope: sysadmins}},
	"GET /system/gc/schedule":           {rule: rule{scope: sysadmins}},
	"POST /system/gc/schedule":          {rule: rule{scope: sysadmins}, body: `{"schedule":{"type":"Daily","cron":"0 0 1 * * *"},"parameters":{"delete_untagged":true,"workers":2}}`, want: 201},
	"POST /system/gc/schedule #run now": {rule: rule{scope: sysadmins}, body: `{"schedule":{"type":"Manual"},"parameters":{"dry_run":true}}`, want: 201},
	"PUT /system/gc/schedule":           {rule: rule{scope: sysadmins}, body: `{"schedule":{"type":"Hourly"}}`},

	"GET /system/feeds":                  {rule: rule{scope: sysadmins}},
	"GET /system/feeds/:feed_name":       {rule: rule{scope: sysadmins}},
	"PUT /system/feeds/:feed_name":       {rule: rule{scope: sysadmins}, body: `{"enabled":false,"urls":{"tracker":"https://mirror.example/json"}}`},
	"GET /system/feeds/schedule":         {rule: rule{scope: sysadmins}},
	"PUT /system/feeds/schedule":         {rule: rule{scope: sysadmins}, body: `{"schedule":{"type":"Hourly"}}`},
	"POST /system/feeds/update":          {rule: rule{scope: sysadmins}, body: `{"feeds":["debian"],"force":true}`, want: 201},
	"POST /system/feeds/import":          {rule: rule{scope: sysadmins}, body: "a bundle", form: "application/octet-stream", want: 201},
	"GET /system/feeds/runs":             {rule: rule{scope: sysadmins}, query: "page_size=100"},
	"GET /system/feeds/runs/:run_id":     {rule: rule{scope: sysadmins}},
	"PUT /system/feeds/runs/:run_id":     {rule: rule{scope: sysadmins}},
	"GET /system/feeds/runs/:run_id/log": {rule: rule{scope: sysadmins}},

	"GET /system/jobs":             {rule: rule{scope: sysadmins}, query: "page_size=100"},
	"GET /system/jobs/:job_id":     {rule: rule{scope: sysadmins}},
	"PUT /system/jobs/:job_id":     {rule: rule{scope: sysadmins}},
	"GET /system/jobs/:job_id/log": {rule: rule{scope: sysadmins}},

	"GET " + immutablePath:                            {rule: project(core.ResImmutableTag, core.ActList)},
	"POST " + immutablePath:                           {rule: project(core.ResImmutableTag, core.ActCreate), body: newImmutableRule, want: 201},
	"PUT " + immutablePath + "/:immutable_rule_id":    {rule: project(core.ResImmutableTag, core.ActUpdate), body: newImmutableRule},
	"DELETE " + immutablePath + "/:immutable_rule_id": {rule: project(core.ResImmutableTag, core.ActDelete)},
	"GET " + anchorPath:                               {rule: project(core.ResConfiguration, core.ActRead)},
	"POST " + anchorPath:                              {rule: project(core.ResMetadata, core.ActUpdate), body: newAnchor, want: 201},
	"GET " + anchorPath + "/:anchor_id":               {rule: project(core.ResConfiguration, core.ActRead)},
	"PUT " + anchorPath + "/:anchor_id":               {rule: project(core.ResMetadata, core.ActUpdate), body: newAnchor},
	"DELETE " + anchorPath + "/:anchor_id":            {rule: project(core.ResMetadata, core.ActUpdate)},
	"GET " + repositoryPath + "/trust":                {rule: project(core.ResRepository, core.ActPull)},
	"GET /system/trust/sign-again":                    {rule: systemWide(core.ResConfiguration, core.ActRead)},
	"GET /retentions/metadatas":                       {rule: rule{scope: signedIn}},
	"POST /retentions":                                {rule: project(core.ResTagRetention, core.ActCreate), body: newRetention, want: 201, bare: true, beside: 400},
	"GET " + retentionPath:                            {rule: project(core.ResTagRetention, core.ActRead), hides: core.ResTagRetention},
	"PUT " + retentionPath:                            {rule: project(core.ResTagRetention, core.ActUpdate), hides: core.ResTagRetention, body: newRetention},
	"DELETE " + retentionPath:                         {rule: project(core.ResTagRetention, core.ActDelete), hides: core.ResTagRetention},
	"GET " + retentionPath + "/executions":            {rule: project(core.ResTagRetention, core.ActList), hides: core.ResTagRetention},
	"POST " + retentionPath + "/executions":           {rule: project(core.ResTagRetention, core.ActUpdate), hides: core.ResTagRetention, body: `{"dry_run":false}`, want: 201},
	"PATCH " + executionPath:                          {rule: project(core.ResTagRetention, core.ActUpdate), hides: core.ResTagRetention, body: `{"action":"stop"}`},
	"GET " + executionPath + "/tasks":                 {rule: project(core.ResTagRetention, core.ActList), hides: core.ResTagRetention},
	"GET " + executionPath + "/tasks/:task_id":        {rule: project(core.ResTagRetention, core.ActRead), hides: core.ResTagRetention},

	"GET /repositories":                                {rule: rule{scope: anyone}, query: "page_size=100"},
	"GET /repositories #q":                             {rule: rule{scope: anyone}, query: "q=name=~{project}"},
	"GET /projects/:project_name/repositories":         {rule: project(core.ResRepository, core.ActList)},
	"GET /projects/:project_name_or_id/artifacts":      {rule: project(core.ResArtifact, core.ActList), query: "page_size=100"},
	"GET " + repositoryPath:                            {rule: project(core.ResRepository, core.ActRead)},
	"PUT " + repositoryPath:                            {rule: project(core.ResRepository, core.ActUpdate), body: `{"description":"new"}`},
	"DELETE " + repositoryPath:                         {rule: project(core.ResRepository, core.ActDelete)},
	"GET " + repositoryPath + "/artifacts":             {rule: project(core.ResArtifact, core.ActList)},
	"POST " + repositoryPath + "/artifacts":            {rule: project(core.ResArtifact, core.ActCreate), query: "from=open-project/app:v1", want: 201, nested: none},
	"GET " + artifactPath:                              {rule: project(core.ResArtifact, core.ActRead)},
	"DELETE " + artifactPath:                           {rule: project(core.ResArtifact, core.ActDelete)},
	"GET " + artifactPath + "/tags":                    {rule: project(core.ResTag, core.ActList)},
	"POST " + artifactPath + "/tags":                   {rule: project(core.ResTag, core.ActCreate), body: `{"name":"fresh"}`, want: 201},
	"DELETE " + artifactPath + "/tags/:tag_name":       {rule: project(core.ResTag, core.ActDelete)},
	"GET " + artifactPath + "/accessories":             {rule: project(core.ResAccessory, core.ActList)},
	"GET " + artifactPath + "/signatures":              {rule: project(core.ResAccessory, core.ActList)},
	"GET " + artifactPath + "/additions/build_history": {rule: project(core.ResArtifactAddition, core.ActRead)},
	"GET " + artifactPath + "/additions/sbom":          {rule: project(core.ResArtifactAddition, core.ActRead)},

	"GET " + artifactPath + "/additions/vulnerabilities":   {rule: project(core.ResArtifactAddition, core.ActRead)},
	"GET " + artifactPath + " #with its scan":              {rule: project(core.ResArtifact, core.ActRead), query: "with_scan_overview=true"},
	"POST " + artifactPath + "/scan":                       {rule: project(core.ResScan, core.ActCreate), body: scanAsked, want: 202},
	"POST " + artifactPath + "/scan/stop":                  {rule: project(core.ResScan, core.ActStop), body: scanAsked, want: 202},
	"POST " + artifactPath + "/scan #for an SBOM":          {rule: project(core.ResSBOM, core.ActCreate), body: `{"scan_type":"sbom"}`, want: 202},
	"POST " + artifactPath + "/scan/stop #of an SBOM":      {rule: project(core.ResSBOM, core.ActStop), body: `{"scan_type":"sbom"}`, want: 202},
	"GET " + artifactPath + "/scan/:report_id/log":         {rule: project(core.ResScan, core.ActRead)},
	"POST " + repositoryPath + "/scan":                     {rule: project(core.ResScan, core.ActCreate), want: 202},
	"POST /projects/:project_name_or_id/scan":              {rule: project(core.ResScan, core.ActCreate), want: 202},
	"POST " + repositoryPath + "/scan/stop":                {rule: project(core.ResScan, core.ActStop), want: 202},
	"POST /projects/:project_name_or_id/scan/stop":         {rule: project(core.ResScan, core.ActStop), want: 202},
	"GET /projects/:project_name_or_id/scanner":            {rule: project(core.ResScanner, core.ActRead)},
	"PUT /projects/:project_name_or_id/scanner":            {rule: project(core.ResScanner, core.ActCreate), body: `{"uuid":"` + builtInScanner + `"}`},
	"GET /projects/:project_name_or_id/scanner/candidates": {rule: project(core.ResScanner, core.ActCreate)},
	"GET /scanners":                           {rule: systemWide(core.ResScanner, core.ActList)},
	"GET /scanners/:registration_id":          {rule: systemWide(core.ResScanner, core.ActRead)},
	"GET /scanners/:registration_id/metadata": {rule: systemWide(core.ResScanner, core.ActRead)},
	"GET /system/scanAll/schedule":            {rule: systemWide(core.ResScanAll, core.ActRead)},
	"POST /system/scanAll/schedule":           {rule: systemWide(core.ResScanAll, core.ActCreate), body: `{"schedule":{"type":"Daily"}}`, want: 201},
	"POST /system/scanAll/schedule #run now":  {rule: systemWide(core.ResScanAll, core.ActCreate), body: `{"schedule":{"type":"Manual"}}`, want: 201},
	"PUT /system/scanAll/schedule":            {rule: systemWide(core.ResScanAll, core.ActUpdate), body: `{"schedule":{"type":"Hourly"}}`},
	"POST /system/scanAll/stop":               {rule: systemWide(core.ResScanAll, core.ActStop), want: 202},
	"GET /scans/all/metrics":                  {rule: systemWide(core.ResScanAll, core.ActRead)},
	"GET /security/trend":                     {rule: systemWide(core.ResSecurityHub, core.ActRead), query: "days=7"},
	"GET /scans/schedule/metrics":             {rule: systemWide(core.ResScanAll, core.ActRead)},
	"GET /system/CVEAllowlist":                {rule: rule{scope: signedIn}},
	"PUT /system/CVEAllowlist":                {rule: systemWide(core.ResConfiguration, core.ActUpdate), body: `{"items":[{"cve_id":"CVE-2026-9"}],"expires_at":1900000000}`},
	"GET /security/summary":                   {rule: systemWide(core.ResSecurityHub, core.ActRead), query: "with_dangerous_cve=true&with_dangerous_artifact=true"},
	"GET /security/vul":                       {rule: systemWide(core.ResSecurityHub, core.ActList), query: "q=severity=high"},
	"GET /notifications":                      {rule: rule{scope: aUser}, query: "page_size=100"},
	"PUT /notifications/seen":                 {rule: rule{scope: aUser}, body: `{"through":1}`},

	"GET /v2/":                      {rule: rule{scope: signedIn}},
	"HEAD /v2/":                     {rule: rule{scope: signedIn}},
	"GET /v2/_catalog":              {rule: rule{scope: signedIn}},
	"GET /v2/:repository/tags/list": {rule: project(core.ResRepository, core.ActPull)},
	"GET /v2/:repository/manifests/:manifest":            {rule: project(core.ResRepository, core.ActPull)},
	"GET /v2/:repository/manifests/:manifest #by tag":    {rule: project(core.ResRepository, core.ActPull), values: byTag},
	"HEAD /v2/:repository/manifests/:manifest":           {rule: project(core.ResRepository, core.ActPull)},
	"PUT /v2/:repository/manifests/:manifest":            {rule: project(core.ResRepository, core.ActPush), values: byTag, body: manifestOf("fresh", ""), form: manifestType, want: 201, nested: none},
	"DELETE /v2/:repository/manifests/:manifest":         {rule: project(core.ResArtifact, core.ActDelete), want: 202},
	"DELETE /v2/:repository/manifests/:manifest #by tag": {rule: project(core.ResTag, core.ActDelete), values: byTag, want: 202},
	"GET /v2/:repository/blobs/:blob":                    {rule: project(core.ResRepository, core.ActPull), values: map[string]string{"blob": "{layer}"}},
	"HEAD /v2/:repository/blobs/:blob":                   {rule: project(core.ResRepository, core.ActPull), values: map[string]string{"blob": "{layer}"}},
	"DELETE /v2/:repository/blobs/:blob":                 {rule: project(core.ResArtifact, core.ActDelete), want: 202},
	"POST /v2/:repository/blobs/uploads/":                {rule: project(core.ResRepository, core.ActPush), want: 202},
	"POST /v2/:repository/blobs/uploads/ #whole":         {rule: project(core.ResRepository, core.ActPush), query: "digest=" + digestOf("whole"), body: "whole", form: "application/octet-stream", want: 201},
	"POST /v2/:repository/blobs/uploads/ #mount":         {rule: project(core.ResRepository, core.ActPush), query: "from=open-project/app&mount=" + digestOf("layer of open-project/app"), want: 201},
	"GET /v2/:repository/blobs/uploads/:upload":          {rule: project(core.ResRepository, core.ActPush), want: 204},
	"PATCH /v2/:repository/blobs/uploads/:upload":        {rule: project(core.ResRepository, core.ActPush), body: "chunk", form: "application/octet-stream", want: 202},
	"PUT /v2/:repository/blobs/uploads/:upload":          {rule: project(core.ResRepository, core.ActPush), query: "digest=" + digestOf("chunk"), body: "chunk", form: "application/octet-stream", want: 201},
	"DELETE /v2/:repository/blobs/uploads/:upload":       {rule: project(core.ResRepository, core.ActPush), want: 204},
	"GET /v2/:repository/referrers/:manifest":            {rule: project(core.ResRepository, core.ActPull), gap: http.StatusOK},
}

const (
	formType       = "application/x-www-form-urlencoded"
	repositoryPath = "/projects/:project_name/repositories/:repository_name"
	artifactPath   = repositoryPath + "/artifacts/:reference"
	oldRobot       = `{"name":"tool","level":"project","duration":-1,"description":"new","permissions":[{"kind":"project","namespace":"{project}","access":[{"resource":"repository","action":"pull"}]}]}`
)

var (
	systemRobot = map[string]string{"robot_id": "{system_robot_id}"}
	byTag       = map[string]string{"manifest": "{tag_name}"}
)

func newUser(more string) string {
	return `{"username":"fresh","email":"fresh@example.com","realname":"F","password":"` + password + `"` + more + `}`
}

func newRobot(level, namespace string) string {
	return `{"name":"fresh","level":"` + level + `","duration":1,"permissions":[{"kind":"project","namespace":"` + namespace +
		`","access":[{"resource":"repository","action":"push"}]}]}`
}
