# Bare make lists what there is. Tools are pinned in tools/go.mod; nothing is
# installed outside this folder and the caches of Go and npm.

.DEFAULT_GOAL := help
SHELL := /bin/bash -o pipefail
GO ?= go
FUZZTIME ?= 10s

# The race detector needs a C compiler on Linux; the product needs none.
RACE = $(if $(shell command -v gcc || command -v clang),-race,)

# Packages that have rewritable expected outputs: their tests know -update.
GOLDEN = $(shell grep -rlE --include=*_test.go 'flag\.Bool\("update"' . | xargs -rn1 dirname | sort -u)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## a hub on loopback with a sample device, its data kept
	$(GO) run ./cmd/hubtwin dev

.PHONY: test
test: check race e2e ## everything that must pass: check, race, e2e

.PHONY: check
check: ## format, vet, staticcheck, build
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	$(GO) mod verify >/dev/null
	$(GO) build ./...
	$(GO) vet ./...
	$(GO) tool -modfile=tools/go.mod staticcheck ./...

.PHONY: race
race: ## all Go tests, shuffled, with the race detector
	$(if $(RACE),,@echo "no C compiler found: testing without the race detector")
	$(GO) test $(RACE) -shuffle=on $$($(GO) list ./... | grep -v '/e2e$$')

.PHONY: golden
golden: ## rewrite expected outputs, for review with git diff
	@for p in $(GOLDEN); do $(GO) test -count=1 $$p -update || exit 1; done

.PHONY: fuzz
fuzz: ## each fuzzer for FUZZTIME (10s)
	@grep -rHoE --include=*_test.go '^func Fuzz[A-Za-z0-9_]+' . | sort | while IFS=: read -r file name; do \
		dir=$$(dirname $$file); name=$${name#func }; echo "$$dir $$name"; \
		$(GO) test $$dir -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) || exit 1; \
	done

.PHONY: bench
bench: ## benchmarks, in the format of benchstat
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: e2e
e2e: ## official SDKs against a real process (needs Node, npm, openssl, curl)
	@command -v openssl >/dev/null && command -v curl >/dev/null || { apt-get update && apt-get install -y openssl curl; } || \
		{ echo "the guides need openssl and curl: install them"; exit 1; }
	npm ci --prefix examples/tutorial --no-audit --no-fund
	npm ci --prefix e2e/sdk --no-audit --no-fund
	npm ci --prefix e2e/azurite --no-audit --no-fund
	$(GO) test -count=1 ./e2e
