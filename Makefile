# Everything is built without cgo, so that the binary is static.
export CGO_ENABLED := 0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

.PHONY: build test test-quick torture bench bench-import bench-scan bench-trust lint generate

# bin/breakwater, as it is released.
build:
	go build -trimpath -ldflags "$(LDFLAGS)" -o bin/breakwater .

# Every check, end-to-end tests too; as root it installs what is missing.
test:
	bash .ci/test

# The tests that need nothing but Go.
test-quick:
	go test ./...

# Kills the server at least 200 times under load and checks what is left; 20 minutes
# at most. TORTURE_SEED=N repeats a run.
torture:
	TORTURE_KILLS=200 go test -count=1 -timeout 25m -v -run TestTorture ./internal/torture

# The same load on Breakwater and on distribution's registry, side by side; 15 minutes.
bench:
	go run ./internal/bench $(BENCHFLAGS)

# What clients notice of an import of 2 million rows of CVE feeds; 15 minutes.
# BENCHFLAGS="-rows 100000 -calm 15s" tries it in 2.
bench-import:
	go run ./internal/bench -import $(BENCHFLAGS)

# The scanner's stores and claircore's own on PostgreSQL, side by side; 30 minutes.
# SCANBENCH_ROWS bounds the rows, SCANBENCH_IMAGE names a .tar.gz to index.
bench-scan:
	BREAKWATER_E2E=1 go test -run '^$$' -bench Stores -benchtime 1x -timeout 90m ./scanner

# What content trust costs: pulls with and without it in turns, and reading and
# signing trust data with one client; 2 minutes.
bench-trust:
	go test -run '^$$' -bench 'Pull' -benchtime 200x ./trust/notary
	go test -run '^$$' -bench 'Get|Publish' -benchtime 5s ./trust/notary

# Formatting, go vet, staticcheck, tidy go.mod, generated code up to date.
lint:
	bash .ci/test lint

# Writes generated code anew.
generate:
	go generate ./...
