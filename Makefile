# Everything is built without cgo, so that the binary is static.
export CGO_ENABLED := 0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

.PHONY: build test test-quick lint generate

# bin/breakwater, as it is released.
build:
	go build -trimpath -ldflags "$(LDFLAGS)" -o bin/breakwater .

# Every check, end-to-end tests too; as root it installs what is missing.
test:
	bash .ci/test

# The tests that need nothing but Go.
test-quick:
	go test ./...

# Formatting, go vet, staticcheck, tidy go.mod, generated code up to date.
lint:
	bash .ci/test lint

# Writes generated code anew.
generate:
	go generate ./...
