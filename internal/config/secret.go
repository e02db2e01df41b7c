package config

import (
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	redacted      = "[redacted]"
	maxSecretSize = 64 << 10
)

// Secret is a text that must never be seen in logs, errors or dumps. Every
// way of printing it says "[redacted]"; only Reveal gives the text.
type Secret struct{ text string }

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text itself.
func (s Secret) Reveal() string { return s.text }

// IsSet says whether the text is not empty.
func (s Secret) IsSet() bool { return s.text != "" }

// String implements fmt.Stringer without the text.
func (Secret) String() string { return redacted }

// GoString implements fmt.GoStringer without the text.
func (Secret) GoString() string { return redacted }

// LogValue implements slog.LogValuer without the text.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, and by it JSON, without the text.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// ReadSecret reads a secret from a file of at most 64 KiB. Line ends at the
// end of the file are not part of it. An empty file is an error, because an
// empty secret would open what it should close.
func ReadSecret(path string) (Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return Secret{}, &core.Error{Code: core.CodeBadRequest, Err: err,
			Message: "cannot read the secret; check the path and that breakwater may read the file"}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecretSize+1))
	if err != nil {
		return Secret{}, &core.Error{Code: core.CodeBadRequest, Err: err, Message: "cannot read the secret"}
	}
	if len(data) > maxSecretSize {
		return Secret{}, core.Errorf(core.CodeBadRequest, "%s is larger than 64 KiB; name a file that holds only the secret", path)
	}
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" {
		return Secret{}, core.Errorf(core.CodeBadRequest, "%s is empty; put the secret on its first line", path)
	}
	return Secret{text}, nil
}
