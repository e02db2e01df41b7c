package core

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// User is a local account.
type User struct {
	ID         int64
	Username   string
	Email      string
	Realname   string
	Comment    string
	SysAdmin   bool
	Disabled   bool // admits nobody
	HasSecret  bool // a CLI secret has been made
	CreatedAt  time.Time
	UpdatedAt  time.Time
	Credential Credential
}

// Credential is what a login is checked against. It never leaves the process.
type Credential struct {
	PasswordHash string // argon2id in PHC form; empty admits no password
	SecretHash   string // SHA-256 of the secret in hex; empty admits none
}

// String keeps hashes out of every log.
func (Credential) String() string { return "[redacted]" }

// usernameForbidden are Harbor's characters that a user name may not hold, and
// those that would make it look like a robot account or a Basic separator.
const usernameForbidden = `,"~#%$:/\<>|`

// ValidateUsername checks a new user name: 1 to 255 characters, printable, and
// free of Harbor's forbidden characters.
func ValidateUsername(name string) error {
	switch {
	case name == "" || utf8.RuneCountInString(name) > 255:
		return Errorf(CodeBadRequest, "the username must have 1 to 255 characters")
	case !printable(name) || strings.TrimSpace(name) != name:
		return Errorf(CodeBadRequest, "the username must be plain text without spaces at its ends")
	case strings.ContainsAny(name, usernameForbidden):
		return Errorf(CodeBadRequest, "the username must not contain any of %s", usernameForbidden)
	}
	return nil
}

// ValidateProfile checks the free fields of a user. An empty email is allowed.
func ValidateProfile(email, realname, comment string) error {
	if email != "" && !plausibleEmail(email) {
		return Errorf(CodeBadRequest, "%q is not an e-mail address such as name@example.com", Clip(email, 64))
	}
	for _, field := range []struct{ name, value string }{{"email", email}, {"realname", realname}, {"comment", comment}} {
		if utf8.RuneCountInString(field.value) > 255 || !printable(field.value) {
			return Errorf(CodeBadRequest, "the %s must be plain text of at most 255 characters", field.name)
		}
	}
	return nil
}

func plausibleEmail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && strings.Contains(domain, ".") && !strings.ContainsAny(domain, "@ ") &&
		!strings.ContainsAny(local, " ,;<>\"") && domain[0] != '.' && domain[len(domain)-1] != '.'
}

// printable says whether s is valid UTF-8 without control characters.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// Clip shortens s for a message.
func Clip(s string, n int) string {
	r := []rune(strings.ToValidUTF8(s, "\uFFFD"))
	if len(r) > n {
		return string(r[:n]) + "..."
	}
	return string(r)
}
