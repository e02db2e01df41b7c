package main

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// options are what follows the fixed arguments of a command.
type options struct {
	user, password, bearer string
	body                   string
	header                 http.Header
	numbers                map[string]int64
	rest                   []string
}

// parseOptions reads NAME=VALUE arguments; what is none is left in rest.
func parseOptions(ts *testscript.TestScript, s *script, args []string) options {
	o := options{header: http.Header{}, numbers: map[string]int64{}}
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "as":
			o.user, o.password = s.account(ts, value)
		case "bearer":
			o.bearer = value
		case "json":
			o.body = value
			o.header.Set("Content-Type", "application/json")
		case "body":
			o.body = value
		case "file":
			o.body = ts.ReadFile(value)
		case "header":
			key, text, _ := strings.Cut(value, ":")
			o.header.Add(key, strings.TrimSpace(text))
		case "seed", "layers", "size":
			n, err := strconv.ParseInt(value, 10, 64)
			ts.Check(err)
			o.numbers[name] = n
		default:
			o.rest = append(o.rest, arg)
		}
	}
	return o
}

// account reads NAME:PASSWORD, or the name of an account whose password is known.
func (s *script) account(ts *testscript.TestScript, who string) (name, password string) {
	name, password, given := strings.Cut(who, ":")
	if given {
		return name, password
	}
	password, known := s.passwords[name]
	if !known {
		ts.Fatalf("the password of %s is not known; make it with the command user, or write as=NAME:PASSWORD", name)
	}
	return name, password
}

// do sends one request and keeps the answer.
func (s *script) do(method, path string, o options) (int, error) {
	address := path
	if !strings.Contains(path, "://") {
		address = s.url + path
	}
	r, err := http.NewRequest(method, address, strings.NewReader(o.body))
	if err != nil {
		return 0, err
	}
	r.Header = o.header.Clone()
	if o.user != "" {
		r.SetBasicAuth(o.user, o.password)
	}
	if o.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+o.bearer)
	}
	res, err := s.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	s.header = res.Header
	s.body, err = io.ReadAll(res.Body)
	return res.StatusCode, err
}

func cmdHTTP(ts *testscript.TestScript, s *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 3)
	o := parseOptions(ts, s, args[3:])
	if len(o.rest) > 0 {
		ts.Fatalf("unknown options %q", o.rest)
	}
	s.request(ts, args[0], args[1], args[2], o)
	s.show(ts)
}

// cmdUntil repeats a request whose answer depends on how fast the machine is.
func cmdUntil(ts *testscript.TestScript, s *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 3)
	o := parseOptions(ts, s, args[3:])
	for range 20 {
		status, err := s.do(args[1], args[2], o)
		ts.Check(err)
		if strconv.Itoa(status) == args[0] {
			s.show(ts)
			return
		}
	}
	ts.Fatalf("%s %s never answered %s; last:\n%v\n%s", args[1], args[2], args[0], s.header, s.body)
}

// show prints the last answer.
func (s *script) show(ts *testscript.TestScript) {
	ts.Check(ignoreCount(ts.Stdout().Write(s.body)))
	var header strings.Builder
	ts.Check(s.header.Write(&header))
	ts.Check(ignoreCount(io.WriteString(ts.Stderr(), strings.ReplaceAll(header.String(), "\r\n", "\n"))))
}

// request is do that demands a status.
func (s *script) request(ts *testscript.TestScript, want, method, path string, o options) {
	status, err := s.do(method, path, o)
	ts.Check(err)
	if strconv.Itoa(status) != want {
		ts.Fatalf("%s %s as %q answered %d, want %s\n%v\n%s", method, path, o.user, status, want, s.header, s.body)
	}
}

// cmdAwait polls: audit rows of logins, denials and pulls are written up to a
// second later.
func cmdAwait(ts *testscript.TestScript, s *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 2)
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	o := parseOptions(ts, s, args[2:])
	limit := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := s.do(http.MethodGet, args[1], o)
		ts.Check(err)
		if pattern.Match(s.body) {
			ts.Check(ignoreCount(ts.Stdout().Write(s.body)))
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			ts.Fatalf("GET %s never had %q; last:\n%s", args[1], pattern, s.body)
		}
	}
}

func cmdSet(ts *testscript.TestScript, s *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 3)
	switch args[1] {
	case "header":
		ts.Setenv(args[0], s.header.Get(args[2]))
	case "json":
		value, err := lookup(s.body, args[2])
		ts.Check(err)
		ts.Setenv(args[0], value)
	default:
		ts.Fatalf("set VAR json PATH, or set VAR header NAME")
	}
}

// lookup finds a value by its path, such as errors.0.code.
func lookup(document []byte, path string) (string, error) {
	var value any
	if err := json.Unmarshal(document, &value); err != nil {
		return "", fmt.Errorf("the answer is no JSON: %w\n%s", err, document)
	}
	for part := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(v) {
				return "", fmt.Errorf("there is no %s of %s in %s", part, path, document)
			}
			value = v[i]
		default:
			return "", fmt.Errorf("there is no %s of %s in %s", part, path, document)
		}
	}
	if number, ok := value.(float64); ok {
		return strconv.FormatFloat(number, 'f', -1, 64), nil
	}
	return fmt.Sprint(value), nil
}

func cmdDigest(ts *testscript.TestScript, _ *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 3)
	text := args[2]
	if file, ok := strings.CutPrefix(text, "file="); ok {
		text = ts.ReadFile(file)
	}
	switch args[1] {
	case "sha256":
		ts.Setenv(args[0], fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))))
	case "sha512":
		ts.Setenv(args[0], fmt.Sprintf("sha512:%x", sha512.Sum512([]byte(text))))
	default:
		ts.Fatalf("unknown algorithm %s", args[1])
	}
}

func cmdToken(ts *testscript.TestScript, s *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 1)
	o := parseOptions(ts, s, args[1:])
	query := url.Values{"service": {"breakwater"}, "scope": o.rest}
	s.request(ts, "200", http.MethodGet, "/service/token?"+query.Encode(), o)
	token, err := lookup(s.body, "token")
	ts.Check(err)
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	ts.Check(err)
	ts.Setenv(args[0], token)
	ts.Check(ignoreCount(ts.Stdout().Write(claims)))
}

// asAdmin sends a JSON request that has to succeed.
func (s *script) asAdmin(ts *testscript.TestScript, status, method, path string, body any) {
	text, err := json.Marshal(body)
	ts.Check(err)
	o := options{body: string(text), header: http.Header{"Content-Type": {"application/json"}}}
	o.user, o.password = s.account(ts, "admin")
	s.request(ts, status, method, path, o)
}

func cmdUser(ts *testscript.TestScript, s *script, neg bool, args []string) {
	refuse(ts, neg)
	for _, name := range args {
		password := "Password-1-of-" + name
		s.asAdmin(ts, "201", http.MethodPost, "/api/v2.0/users", map[string]string{
			"username": name, "password": password, "email": name + "@example.com", "realname": name})
		s.passwords[name] = password
		ts.Setenv("USER_"+name, lastPart(s.header.Get("Location")))
	}
}

func lastPart(path string) string { return path[strings.LastIndex(path, "/")+1:] }

func cmdProject(ts *testscript.TestScript, s *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 1)
	public := len(args) > 1 && args[1] == "public"
	s.asAdmin(ts, "201", http.MethodPost, "/api/v2.0/projects", map[string]any{
		"project_name": args[0], "metadata": map[string]string{"public": strconv.FormatBool(public)}})
	ts.Setenv("PROJECT_"+args[0], lastPart(s.header.Get("Location")))
}

var roleIDs = map[string]int{"projectAdmin": 1, "developer": 2, "guest": 3, "maintainer": 4, "limitedGuest": 5}

func cmdMember(ts *testscript.TestScript, s *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 3)
	role, ok := roleIDs[args[2]]
	if !ok {
		ts.Fatalf("no such role: %s", args[2])
	}
	s.asAdmin(ts, "201", http.MethodPost, "/api/v2.0/projects/"+args[0]+"/members", map[string]any{
		"role_id": role, "member_user": map[string]string{"username": args[1]}})
	ts.Setenv("MEMBER_"+args[1], lastPart(s.header.Get("Location")))
}
