package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

const (
	statusMethod   = http.StatusMethodNotAllowed
	statusTooLarge = http.StatusRequestEntityTooLarge
	statusHeader   = http.StatusRequestHeaderFieldsTooLarge
	statusRange    = http.StatusRequestedRangeNotSatisfiable
	imageType      = "Content-Type: application/vnd.oci.image.manifest.v1+json"
	emptyDigest    = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// hostilePaths try to leave the paths of the API, or to say one thing in two ways.
func hostilePaths() []attack {
	long := strings.Repeat("a", 300)
	return []attack{
		{name: "dots to a file", line: "GET /v2/../../etc/passwd", want: 404},
		{name: "dots in a manifest", line: "GET /v2/lib/app/manifests/../../../../etc/passwd", want: 404},
		{name: "dots as a project", line: "GET /v2/../app/manifests/1", want: 400, code: "NAME_INVALID"},
		{name: "dots in a name", line: "GET /v2/lib/../lib/manifests/1", want: 400, code: "NAME_INVALID"},
		{name: "dots as a tag", line: "GET /v2/lib/app/manifests/..", want: 400, code: "TAG_INVALID"},
		{name: "dots in a digest", line: "GET /v2/lib/app/blobs/sha256:../../breakwater.db", want: 404},
		{name: "encoded dots in a digest", line: "GET /v2/lib/app/blobs/sha256:..%2f..%2fbreakwater.db", want: 400, code: "NAME_INVALID"},
		{name: "dots as an upload", line: "GET /v2/lib/app/blobs/uploads/..", want: 404, code: "BLOB_UPLOAD_UNKNOWN"},
		{name: "dots in an upload", line: "PATCH /v2/lib/app/blobs/uploads/..%2f..%2fbreakwater.db", body: "x", want: 400},
		{name: "long upload", line: "GET /v2/lib/app/blobs/uploads/" + strings.Repeat("f", 5000), want: 404, code: "BLOB_UPLOAD_UNKNOWN"},
		{name: "upload of another form", line: "PUT /v2/lib/app/blobs/uploads/lock?digest=" + emptyDigest, want: 404, code: "BLOB_UPLOAD_UNKNOWN"},
		{name: "encoded slash in a name", line: "GET /v2/lib%2fapp/tags/list", want: 400, code: "NAME_INVALID"},
		{name: "encoded dots", line: "GET /v2/%2e%2e/%2e%2e/etc/passwd", want: 400},
		{name: "encoded letter", line: "GET /v2/lib/%61pp/manifests/1", want: 400, code: "NAME_INVALID"},
		{name: "NUL in a tag", line: "GET /v2/lib/app/manifests/a%00b", want: 400},
		{name: "NUL in a name", line: "GET /v2/lib/a%00b/tags/list", want: 400, code: "NAME_INVALID"},
		{name: "newline in a name", line: "GET /v2/lib/a%0ab/tags/list", want: 400, code: "NAME_INVALID"},
		{name: "invalid UTF-8 in a name", line: "GET /v2/lib/%ff%fe/tags/list", want: 400, code: "NAME_INVALID"},
		{name: "raw bytes in a path", line: "GET /v2/lib/\xff\xfe/tags/list", want: 400},
		{name: "letters that look alike", line: "GET /v2/lib/%D0%B0pp/tags/list", want: 400, code: "NAME_INVALID"},
		{name: "backslashes", line: `GET /v2/lib\..\app/tags/list`, want: 400},
		{name: "upper case", line: "GET /v2/LIB/APP/tags/list", want: 400, code: "NAME_INVALID"},
		{name: "empty part", line: "GET /v2/lib//app/tags/list", want: 400, code: "NAME_INVALID"},
		{name: "long name", line: "GET /v2/lib/" + long + "/tags/list", want: 400, code: "NAME_INVALID"},
		{name: "very long name", line: "GET /v2/lib/" + strings.Repeat("a/", 5000) + "a/tags/list", want: 400, code: "NAME_INVALID"},
		{name: "long tag", line: "GET /v2/lib/app/manifests/" + strings.Repeat("t", 129), want: 400, code: "TAG_INVALID"},
		{name: "a name that ends the grammar slowly", line: "GET /v2/lib/" + strings.Repeat("a-", 120) + "/tags/list", want: 400, code: "NAME_INVALID"},
		{name: "target of 100 KB", line: "GET /v2/" + strings.Repeat("a", 100<<10), want: statusHeader, bare: true},
		{name: "absolute target", line: "GET http://evil.example.com/v2/lib/../x", want: 404},
		{name: "CONNECT", line: "CONNECT evil.example.com:443", want: 404, bare: true},
		{name: "no such path", line: "GET /etc/passwd", want: 404, code: "NOT_FOUND"},
		{name: "no such API", line: "GET /api/v2.0/nothing", want: 404, code: "NOT_FOUND"},
		{name: "project as dots", line: "GET /api/v2.0/projects/%2e%2e", want: 404},
		{name: "project with NUL", line: "GET /api/v2.0/projects/%00", want: 404},
		{name: "project with invalid UTF-8", line: "GET /api/v2.0/projects/%ff", want: 404},
		{name: "repository as dots", line: "GET /api/v2.0/projects/lib/repositories/%252e%252e%252f%252e%252e/artifacts", want: 404},
		{name: "repository encoded thrice", line: "GET /api/v2.0/projects/lib/repositories/a%25252Fb/artifacts", want: 404},
		{name: "repository badly encoded", line: "GET /api/v2.0/projects/lib/repositories/a%25zz/artifacts", want: 400, code: "BAD_REQUEST"},
		{name: "artifact as dots", line: "GET /api/v2.0/projects/lib/repositories/app/artifacts/%2e%2e", want: 404},
		{name: "number too large", line: "GET /api/v2.0/users/99999999999999999999", want: 400, code: "BAD_REQUEST"},
		{name: "number below one", line: "GET /api/v2.0/users/-1", want: 400, code: "BAD_REQUEST"},
		{name: "number with a tail", line: "GET /api/v2.0/users/1%00", want: 400, code: "BAD_REQUEST"},
		{name: "number that is a word", line: "GET /api/v2.0/robots/one", want: 400, code: "BAD_REQUEST"},
	}
}

// hostileHeaders are malformed, huge or smuggle a second request. The bare ones
// never reach the registry.
func hostileHeaders() []attack {
	patch := "PATCH /v2/lib/app/blobs/uploads/0"
	return []attack{
		{name: "header of 100 KB", line: "GET /v2/", header: []string{"X-Huge: " + strings.Repeat("h", 100<<10)}, want: statusHeader, bare: true},
		{name: "many headers", line: "GET /v2/", header: strings.Split(strings.Repeat("X-Many: 1\n", 9000)+"X-Last: 1", "\n"), want: statusHeader, bare: true},
		{name: "two lengths", line: patch, header: []string{"Content-Length: 5", "Content-Length: 44"}, body: "hello", want: 400, bare: true},
		{name: "two lengths in one", line: patch, header: []string{"Content-Length: 5, 44"}, body: "hello", want: 400, bare: true},
		{name: "negative length", line: patch, header: []string{"Content-Length: -5"}, body: "hello", want: 400, bare: true},
		{name: "signed length", line: patch, header: []string{"Content-Length: +5"}, body: "hello", want: 400, bare: true},
		{name: "length in hex", line: patch, header: []string{"Content-Length: 0x5"}, body: "hello", want: 400, bare: true},
		{name: "length too large", line: patch, header: []string{"Content-Length: 99999999999999999999"}, body: "hello", want: 400, bare: true},
		{name: "two transfer encodings", line: patch, header: []string{"Transfer-Encoding: chunked", "Transfer-Encoding: identity"}, body: "0\r\n\r\n", want: 501, bare: true},
		{name: "unknown transfer encoding", line: patch, header: []string{"Transfer-Encoding: xchunked"}, body: "0\r\n\r\n", want: 501, bare: true},
		{name: "space before the colon", line: "GET /v2/", header: []string{"Host : evil"}, want: 400, bare: true},
		{name: "two hosts", line: "GET /v2/", header: []string{"Host: a", "Host: b"}, want: 400, bare: true},
		{name: "bad host", line: "GET /v2/", header: []string{"Host: a\"b"}, want: 400, bare: true},
		{name: "NUL in a header", line: "GET /v2/", header: []string{"X-A: a\x00b"}, want: 400, bare: true},
		{name: "unknown expectation", line: "GET /v2/", header: []string{"Expect: 200-maybe"}, want: 417, bare: true},
		{name: "bad chunk", line: "POST /api/v2.0/projects", header: []string{"Transfer-Encoding: chunked"}, body: "zz\r\n{}\r\n0\r\n\r\n", want: 400, code: "BAD_REQUEST"},
		{name: "from another site", line: "POST /api/v2.0/projects", header: []string{"Sec-Fetch-Site: cross-site"}, body: `{"project_name":"x"}`, want: 403, code: "FORBIDDEN"},
		{name: "from another origin", line: "POST /api/v2.0/projects", header: []string{"Origin: https://evil.example.com"}, body: `{"project_name":"x"}`, want: 403, code: "FORBIDDEN"},
	}
}

func basic(text string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(text))
}

// hostileCredentials are refused with 401 and never taken for nobody's.
func hostileCredentials() []attack {
	var all []attack
	for name, header := range map[string]string{
		"scheme only":                     "Authorization: Basic",
		"nothing":                         "Authorization: Basic ",
		"not base64":                      "Authorization: Basic !!!!",
		"without colon":                   basic("admin"),
		"NUL in the name":                 basic("admin\x00:" + hostilePassword),
		"invalid UTF-8":                   basic("\xff\xfe:\xff"),
		"empty password":                  basic("admin:"),
		"empty name":                      basic(":" + hostilePassword),
		"name of 20 KB":                   basic(strings.Repeat("a", 20<<10) + ":x"),
		"password of 40 KB":               basic("admin:" + strings.Repeat("a", 40<<10)),
		"a robot's name":                  basic("robot$lib+x:" + hostilePassword),
		"unknown scheme":                  "Authorization: Digest username=admin",
		"empty bearer":                    "Authorization: Bearer ",
		"bearer that is none":             "Authorization: Bearer a.b.c",
		"bearer of 50 KB":                 "Authorization: Bearer " + strings.Repeat("a.", 25<<10),
		"bearer that is signed by nobody": "Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c2VyOjEiLCJhdWQiOiJicmVha3dhdGVyIiwiaXNzIjoiYnJlYWt3YXRlciIsImV4cCI6OTk5OTk5OTk5OX0.",
	} {
		all = append(all, attack{name: "registry: " + name, line: "GET /v2/", header: []string{header}, want: 401, code: "UNAUTHORIZED"},
			attack{name: "API: " + name, line: "GET /api/v2.0/projects", header: []string{header}, want: 401, code: "UNAUTHORIZED"})
	}
	return append(all,
		attack{name: "two credentials", line: "GET /v2/", header: []string{basic("x:y"), basic("admin:" + hostilePassword)}, want: 401},
		attack{name: "cookie of nobody", nobody: true, line: "GET /api/v2.0/users/current", header: []string{"Cookie: sid=" + strings.Repeat("a", 8000)}, want: 401},
		attack{name: "anonymous to a private list", nobody: true, line: "GET /api/v2.0/users", want: 401},
	)
}

// hostileJSON are bodies that two readers could understand in two ways, or that
// cost more than they say.
func hostileJSON() []attack {
	bodies := map[string]string{
		"nothing":              " ",
		"no JSON":              "project_name=x",
		"null":                 "null",
		"a list":               "[]",
		"a text":               `"x"`,
		"half":                 `{"project_name":"x"`,
		"two documents":        `{"project_name":"x"}{"project_name":"y"}`,
		"a tail":               `{"project_name":"x"} x`,
		"a key twice":          `{"project_name":"x","project_name":"y"}`,
		"a key twice in case":  `{"project_name":"x","Project_Name":"y"}`,
		"a key twice, escaped": `{"project_name":"x","project\u005fname":"y"}`,
		"a nested key twice":   `{"project_name":"x","metadata":{"public":"false","public":"true"}}`,
		"invalid UTF-8":        "{\"project_name\":\"x\xff\"}",
		"half a surrogate":     `{"project_name":"x\ud800"}`,
		"NUL":                  `{"project_name":"x\u0000"}`,
		"a number for a text":  `{"project_name":5}`,
		"a list for a text":    `{"project_name":["x"]}`,
		"a huge number":        `{"project_name":"x","storage_limit":1e400}`,
		"a fraction":           `{"project_name":"x","storage_limit":1.5}`,
		"a negative limit":     `{"project_name":"x","storage_limit":-7}`,
		"a bad name":           `{"project_name":"../x"}`,
		"a long name":          `{"project_name":"` + strings.Repeat("x", 300) + `"}`,
		"a name with markup":   `{"project_name":"<script>"}`,
		"unknown metadata":     `{"project_name":"x","metadata":{"nothing":"true"}}`,
		"what is not enforced": `{"project_name":"x","metadata":{"proxy_cache_local_on_not_found":"true"}}`,
		"metadata as numbers":  `{"project_name":"x","metadata":{"public":[]}}`,
		"deep":                 strings.Repeat("[", 100_000),
		"deep and closed":      strings.Repeat(`{"a":`, 50_000) + "1" + strings.Repeat("}", 50_000),
		"comments":             `{"project_name":"x"/* hello */}`,
		"NaN":                  `{"project_name":"x","storage_limit":NaN}`,
	}
	var all []attack
	for name, body := range bodies {
		all = append(all, attack{name: "JSON: " + name, line: "POST /api/v2.0/projects", body: body, want: 400, code: "BAD_REQUEST"})
	}
	giant := `{"project_name":"` + strings.Repeat("x", 2<<20) + `"}`
	return append(all,
		attack{name: "JSON: 2 MiB", line: "POST /api/v2.0/projects", body: giant, want: statusTooLarge, code: "REQUEST_ENTITY_TOO_LARGE"},
		attack{name: "JSON: 2 MiB in chunks", line: "POST /api/v2.0/projects", header: []string{"Transfer-Encoding: chunked"},
			body: fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(giant), giant), want: statusTooLarge, code: "REQUEST_ENTITY_TOO_LARGE"},
		attack{name: "JSON: nothing for a user", line: "POST /api/v2.0/users", body: "{}", want: 400, code: "BAD_REQUEST"},
		attack{name: "JSON: a user name with a colon", line: "POST /api/v2.0/users", body: `{"username":"a:b","password":"Password-1","email":"a@example.com","realname":"a"}`, want: 400},
		attack{name: "JSON: a user like a robot", line: "POST /api/v2.0/users", body: `{"username":"robot$x","password":"Password-1","email":"a@example.com","realname":"a"}`, want: 400},
		attack{name: "JSON: unknown setting", line: "PUT /api/v2.0/configurations", body: `{"no_such_setting":true}`, want: 400, code: "BAD_REQUEST"},
		attack{name: "JSON: no role", line: "POST /api/v2.0/projects/lib/members", body: `{"role_id":9,"member_user":{"username":"admin"}}`, want: 400},
	)
}

// hostileQueries are parameters beyond their limits.
func hostileQueries() []attack {
	var all []attack
	for _, query := range []string{
		"page=0", "page=-1", "page=x", "page=99999999999999999999", "page=1.5", "page_size=0", "page_size=101", "page_size=-1",
		"q=nothing=1", "q=name", "q==x", "q=name=[1]", "q=name={}", "q=name=()", "q=" + strings.Repeat("x", 5000), "q=%ff=1", "q=name=%ff",
		"q=" + strings.Repeat("name=x,", 30) + "name=x", "sort=nothing", "sort=,", "sort=-", "sort=name%00", "sort=%ff",
		"q=creation_time=[yesterday~]", "sort=name%3Bdrop", "q=name%00=x",
	} {
		all = append(all, attack{name: "list: " + query[:min(len(query), 24)], line: "GET /api/v2.0/projects?" + query, want: 400, code: "BAD_REQUEST"})
	}
	for _, n := range []string{"-1", "x", "1.5", "99999999999999999999", "0x10", "1e3"} {
		all = append(all, attack{name: "tags: n=" + n, line: "GET /v2/lib/app/tags/list?n=" + n, want: 400, code: "PAGINATION_NUMBER_INVALID"},
			attack{name: "catalog: n=" + n, line: "GET /v2/_catalog?n=" + n, want: 400, code: "PAGINATION_NUMBER_INVALID"})
	}
	return append(all,
		attack{name: "referrers: after", line: "GET /v2/lib/app/referrers/" + emptyDigest + "?after=-1", want: 400, code: "PAGINATION_NUMBER_INVALID"},
		attack{name: "token: 101 scopes", line: "GET /service/token?x" + strings.Repeat("&scope=repository:a/b:pull", 101), want: 400},
		attack{name: "token: scopes of 9 KB", line: "GET /service/token?scope=repository:a/" + strings.Repeat("b", 9<<10) + ":pull", want: 400},
		attack{name: "token: broken scope", line: "GET /service/token?scope=repository", want: 400},
		attack{name: "token: scope with markup", line: "GET /service/token?scope=repository:%3Cb%3E:pull", want: 400},
		attack{name: "token: scope with invalid UTF-8", line: "GET /service/token?scope=repository:%ff:pull", want: 400},
		attack{name: "token: form of 100 KB", line: "POST /service/token", header: []string{"Content-Type: application/x-www-form-urlencoded"},
			body: "grant_type=password&username=" + strings.Repeat("a", 100<<10), want: 400},
		attack{name: "token: JSON for a form", line: "POST /service/token", header: []string{"Content-Type: application/json"}, body: "{}", want: 400},
		attack{name: "audit: unknown format", line: "GET /api/v2.0/audit-logs/export?format=xml", want: 400, code: "BAD_REQUEST"},
	)
}

// hostileMethods are verbs that a path does not know.
func hostileMethods() []attack {
	var all []attack
	for _, line := range []string{
		"POST /v2/", "DELETE /v2/_catalog", "PUT /v2/lib/app/tags/list", "POST /v2/lib/app/manifests/1", "PATCH /v2/lib/app/blobs/" + emptyDigest,
		"GET /v2/lib/app/blobs/uploads/", "BREW /v2/lib/app/manifests/1", "TRACE /v2/lib/app/manifests/1", "OPTIONS /v2/lib/app/manifests/1",
		"POST /api/v2.0/ping", "DELETE /api/v2.0/projects", "BREW /api/v2.0/ping", "PATCH /api/v2.0/users/1", "DELETE /service/token",
	} {
		all = append(all, attack{name: "method: " + line, line: line, want: statusMethod})
	}
	return all
}

// hostilePushes are content that is not what it says, or too much of it.
func hostilePushes() []attack {
	manifest := func(body string) attack {
		return attack{line: "PUT /v2/lib/app/manifests/1", header: []string{imageType}, body: body, want: 400, code: "MANIFEST_INVALID"}
	}
	named := func(name string, a attack) attack { a.name = "push: " + name; return a }
	large := manifest(`{"schemaVersion":2,"x":"` + strings.Repeat("x", 5<<20) + `"}`)
	large.want = statusTooLarge
	chunked := large
	chunked.header = append(chunked.header, "Transfer-Encoding: chunked")
	chunked.body = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(large.body), large.body)
	typed := func(header string) attack {
		a := manifest(`{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"` + emptyDigest + `","size":0},"layers":[]}`)
		a.header = []string{header}
		return a
	}
	layer := `{"mediaType":"a/b","digest":"` + emptyDigest + `","size":0},`
	return []attack{
		named("manifest of 5 MiB", large),
		named("manifest of 5 MiB in chunks", chunked),
		named("deep manifest", manifest(strings.Repeat(`{"a":[`, 300_000))),
		named("20,001 layers", manifest(`{"schemaVersion":2,"config":`+strings.TrimSuffix(layer, ",")+`,"layers":[`+strings.Repeat(layer, 20_000)+strings.TrimSuffix(layer, ",")+`]}`)),
		named("key twice", manifest(`{"schemaVersion":2,"schemaVersion":1}`)),
		named("invalid UTF-8", manifest("{\"schemaVersion\":2,\"x\":\"\xff\"}")),
		named("two documents", manifest(`{"schemaVersion":2}{"schemaVersion":2}`)),
		named("digest with dots", manifest(`{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"sha256:../../x","size":0},"layers":[]}`)),
		named("negative size", manifest(`{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"`+emptyDigest+`","size":-1},"layers":[]}`)),
		named("size too large", manifest(`{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"`+emptyDigest+`","size":1e30},"layers":[]}`)),
		named("no manifest type", typed("Content-Type: text/html")),
		named("malformed type", typed("Content-Type: ///;;;=")),
		named("type of 10 KB", typed("Content-Type: a/"+strings.Repeat("b", 10<<10))),
		named("no type at all", typed("X-Nothing: 1")),
		{name: "push: manifest under another digest", line: "PUT /v2/lib/app/manifests/" + emptyDigest, header: []string{imageType}, body: "{}", want: 400, code: "DIGEST_INVALID"},
		{name: "push: 101 tags", line: "PUT /v2/lib/app/manifests/sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a?x" + strings.Repeat("&tag=a", 101),
			header: []string{imageType}, body: "{}", want: 414},
		{name: "push: bad tag parameter", line: "PUT /v2/lib/app/manifests/sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a?tag=../x",
			header: []string{imageType}, body: "{}", want: 400, code: "TAG_INVALID"},
		{name: "push: wrong digest", line: "POST /v2/lib/app/blobs/uploads/?digest=" + emptyDigest, body: "not empty", want: 400, code: "DIGEST_INVALID"},
		{name: "push: short digest", line: "POST /v2/lib/app/blobs/uploads/?digest=sha256:abc", body: "x", want: 400, code: "DIGEST_INVALID"},
		{name: "push: upper case digest", line: "POST /v2/lib/app/blobs/uploads/?digest=" + strings.ToUpper(emptyDigest[7:]), body: "x", want: 400, code: "DIGEST_INVALID"},
		{name: "push: other algorithm", line: "POST /v2/lib/app/blobs/uploads/?digest=md5:d41d8cd98f00b204e9800998ecf8427e", body: "", want: 400, code: "DIGEST_INVALID"},
		{name: "push: mount of nonsense", line: "POST /v2/lib/app/blobs/uploads/?mount=nonsense&from=lib/app", want: 400, code: "DIGEST_INVALID"},
		{name: "push: bad chunk", line: "POST /v2/lib/app/blobs/uploads/?digest=" + emptyDigest, header: []string{"Transfer-Encoding: chunked"},
			body: "5\r\nhello\r\nzz\r\n", want: 400, code: "BLOB_UPLOAD_INVALID"},
		{name: "push: nowhere", line: "PATCH /v2/lib/app/blobs/uploads/12345678-1234-1234-1234-123456789012", body: "x", want: 404, code: "BLOB_UPLOAD_UNKNOWN"},
		{name: "push: to no project", line: "POST /v2/app/blobs/uploads/", want: 400, code: "NAME_INVALID"},
		{name: "push: absent project", line: "POST /v2/nothing/app/blobs/uploads/", want: 404, code: "NAME_UNKNOWN"},
		{name: "push: absent digest", line: "PUT /v2/lib/app/blobs/uploads/12345678-1234-1234-1234-123456789012", body: "x", want: 400, code: "DIGEST_INVALID"},
	}
}
