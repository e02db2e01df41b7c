package main

import (
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// walk is a project "testproject" whose images come from a real docker.
type walk struct {
	srv    *testenv.Server
	docker *testenv.Dockerd
}

func (w walk) name(image string) string { return w.srv.Addr + "/testproject/" + image }

// push makes an Alpine image with the packages, NAME=VERSION, and pushes it with
// the docker; trusted has docker sign it, too.
func (w walk) push(t *testing.T, cli *testenv.DockerCLI, trusted bool, image string, packages ...string) {
	t.Helper()
	w.docker.ImportImage(t, w.name(image), map[string]string{
		"etc/os-release": osRelease, apkFile: installed(packages...), "image": image + " of " + cli.Version,
	})
	cmd := cli.Command(t.Context(), "push", w.name(image))
	if trusted {
		cmd.Env = append(cmd.Env, "DOCKER_CONTENT_TRUST=1", "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE=root-passphrase", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE=passphrase")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("push of %s: %v\n%s", image, err, out)
	}
	cli.Run(t, "rmi", "--force", w.name(image))
	awaitAnswer(t, w.srv, "/api/v2.0/projects/testproject/repositories/"+strings.Replace(image, ":", "/artifacts/", 1)+"?with_scan_overview=true", `"scan_status":"Success"`)
}

// ask sets metadata of the project.
func (w walk) ask(t *testing.T, key, value string) {
	t.Helper()
	w.srv.JSON(t, "PUT", "/api/v2.0/projects/testproject", w.srv.AdminUser, w.srv.AdminPassword, map[string]any{"metadata": map[string]string{key: value}}, 200, nil)
}

// pull wants docker to say that; "" wants it to have the image.
func (w walk) pull(t *testing.T, cli *testenv.DockerCLI, image, want string) {
	t.Helper()
	out, err := cli.Try(t.Context(), "pull", w.name(image))
	if err == nil {
		cli.Run(t, "rmi", "--force", w.name(image))
	}
	if (err == nil) != (want == "") || !strings.Contains(out, want) {
		t.Errorf("docker %s pulls %s: %v\n%s\nwant %q", cli.Version, image, err, out, want)
	}
}

const (
	notSigned  = "unknown: The image is not signed in Notary."
	vulnerable = `unknown: The severity of vulnerability of the image: "high" is equal or higher than the threshold in project setting: "high"`
)

// The walk through content trust as people know it from Harbor: it is switched on
// by clicking, docker signs what it pushes, the registry shows and enforces it;
// with the policy about severities both have to be met, whichever came first.
func TestBrowserContentTrust(t *testing.T) {
	srv, b := startUI(t)
	importFeed(t, srv, feedOfFlaws(flaws))
	srv.JSON(t, "POST", "/api/v2.0/projects", srv.AdminUser, srv.AdminPassword,
		map[string]any{"project_name": "testproject", "metadata": map[string]string{"auto_scan": "true", "severity": "high"}}, 201, nil)
	w := walk{srv, testenv.StartDockerd(t, testenv.DockerdOptions{})}
	w.docker.TrustCA(t, srv.Addr, srv.CA)
	signIn(b, srv.AdminUser, srv.AdminPassword)
	b.Goto("/projects/testproject/policies")
	b.Choose("Notary (docker content trust)")
	b.Click("Save changes")
	b.See("The policies were saved")

	for _, cli := range w.docker.CLIs() {
		major, _, _ := strings.Cut(cli.Version, ".")
		cli.Login(t, srv.Addr, srv.AdminUser, srv.AdminPassword)
		repo := "docker" + major
		w.push(t, cli, true, repo+":good", "busybox=1.99-r0")
		w.push(t, cli, false, repo+":plain", "zlib=1.99-r0")
		w.push(t, cli, true, repo+":flawed", "openssl=3.1.4-r0", "busybox=1.36.0-r0")
		w.push(t, cli, false, repo+":both", "busybox=1.35.0-r0")
		w.pull(t, cli, repo+":good", "")
		w.pull(t, cli, repo+":flawed", "")
		w.pull(t, cli, repo+":plain", notSigned)

		w.ask(t, "prevent_vul", "true") // after content trust
		w.pull(t, cli, repo+":good", "")
		w.pull(t, cli, repo+":plain", notSigned)
		w.pull(t, cli, repo+":flawed", strings.Replace(vulnerable, `image: "high"`, `image: "critical"`, 1))
		w.pull(t, cli, repo+":both", notSigned)
		w.ask(t, "enable_content_trust", "false")
		w.pull(t, cli, repo+":plain", "")
		w.pull(t, cli, repo+":both", vulnerable)
		w.ask(t, "enable_content_trust", "true") // after the severity
		w.pull(t, cli, repo+":good", "")
		w.pull(t, cli, repo+":plain", notSigned)
		w.pull(t, cli, repo+":flawed", strings.Replace(vulnerable, `image: "high"`, `image: "critical"`, 1))
		w.ask(t, "prevent_vul", "false")
		w.pull(t, cli, repo+":flawed", "")

		b.Goto("/projects/testproject/repositories/" + repo)
		b.See("repository key (Notary)")
		b.See("Unsigned")
		b.Shot("walk-" + repo)
		b.Goto("/projects/testproject/repositories/" + repo + "/artifacts/good")
		b.See("repository key")
		b.Shot("walk-artifact-" + repo)
		b.Goto("/projects/testproject/repositories/" + repo + "/trust")
		b.See(srv.Addr + "/testproject/" + repo)
		b.See("held by the registry")
		b.See("Signed tags")
		b.Shot("walk-trust-" + repo)
	}
}
