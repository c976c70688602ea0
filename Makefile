# make help lists what there is. Go, make and git are enough for build, demo and test.
.DEFAULT_GOAL := build
MAKEFLAGS   += --no-print-directory

# The version is the last tag; without tags or without git it is a development version.
# Nothing else of the tree goes into a binary: the same sources give the same bytes.
VERSION  ?= $(or $(shell git describe --tags --match 'v*' --dirty 2>/dev/null),v0.0.0-dev)
REVISION ?= $(or $(shell git describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null),unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION) -X main.revision=$(REVISION)

FUZZTIME ?= 30s
BENCH    ?= .

GOLANGCI_VERSION    := v2.12.2
GOLANGCI            ?= bin/tools/golangci-lint-$(GOLANGCI_VERSION)
GOVULNCHECK_VERSION := v1.1.4

.PHONY: build
build: ## bin/fleetctl and bin/relay, static
	@CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)" -o bin/ ./cmd/fleetctl ./cmd/relay

.PHONY: build-all
build-all: ## bin/OS_ARCH/fleetctl and relay: linux and darwin, amd64 and arm64
	@for platform in linux_amd64 linux_arm64 darwin_amd64 darwin_arm64; do \
		CGO_ENABLED=0 GOOS=$${platform%_*} GOARCH=$${platform#*_} go build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)" -o bin/$$platform/ ./cmd/fleetctl ./cmd/relay || exit 1; \
	done

.PHONY: demo
demo: build ## a fleet of three relays on this machine: up, proven, broken, healed, gone
	@bash testdata/demo/demo.sh

.PHONY: demo-cloud
demo-cloud: build ## the same on a simulated DigitalOcean and Cloudflare, with its price (Linux)
	@bash testdata/demo/cloud.sh

.PHONY: test
test: build ## every test: race, shuffled, no network, no root, no skips
	@go run ./testdata/tools/testsum ./... ./testdata/tools/...

.PHONY: lint
lint: $(GOLANGCI) ## golangci-lint with the fences of design, gofmt, shellcheck, vet for other systems
	@GOLANGCI=$(GOLANGCI) bash testdata/tools/lint.sh

bin/tools/golangci-lint-$(GOLANGCI_VERSION):
	@echo "installing golangci-lint $(GOLANGCI_VERSION) into bin/tools (about a minute, once)"
	GOFLAGS= GOBIN="$(CURDIR)/bin/tools" go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv bin/tools/golangci-lint $@

.PHONY: e2e
e2e: build ## foreign witnesses (ssh, dig, js-libp2p, promtool), droplets of real Debian (Linux, root)
	@bash testdata/e2e/run.sh

.PHONY: bench
bench: ## every benchmark; BENCH=pattern
	@go test -run '^$$' -bench '$(BENCH)' -benchmem ./...

.PHONY: bench-exec
bench-exec: build ## fleetctl exec against parallel-ssh on 100 real sshd (Linux, root)
	@bash testdata/bench/exec.sh

.PHONY: pictures
pictures: build ## the pictures of the README, from real connections (gnuplot)
	@bash testdata/demo/pictures.sh

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (30s)
	@bash testdata/tools/fuzz.sh "$(FUZZTIME)"

.PHONY: vuln
vuln: ## govulncheck; needs the internet
	@GOFLAGS= go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./...

.PHONY: clean
clean: ## remove what make made, except tools and a demo that may still run
	@rm -rf bin/fleetctl bin/relay bin/linux_* bin/darwin_* .e2e testdata/e2e/js/node_modules

.PHONY: help
help: ## this list
	@sed -nE 's/^([a-z0-9-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 19
