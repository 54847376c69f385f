# Thin names for what stands in scripts/. `make` alone lists them.

export GOEXPERIMENT = jsonv2
LINT = .cache/bin/golangci-lint
# What `make fuzz` and `make cover` work on, and for how long.
PKG ?= ./...
FUZZTIME ?= 30s

.DEFAULT_GOAL := help
.PHONY: help build start check test lint fmt fuzz bench cover smoke docker clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/hermes, static
	scripts/build

start: ## build, make demo profiles if there are none, serve them
	scripts/start

check: ## every check and every test, as CI runs them
	scripts/check

test: ## the tests, without the race detector
	CGO_ENABLED=0 go test $(PKG)

lint: $(LINT) ## the linters
	$(LINT) run

fmt: $(LINT) ## format the Go files
	$(LINT) fmt

fuzz: ## each fuzz target of PKG for FUZZTIME, one after the other
	@for pkg in $$(go list $(PKG)); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "== $$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

bench: ## what a request, a chunk, a start and an idle worker cost
	scripts/bench

cover: ## test coverage by function, and cover.out for `go tool cover -html`
	go test -coverprofile cover.out -coverpkg ./... $(PKG)
	go tool cover -func cover.out | tail -n 1

smoke: build ## a short test of the built binary
	scripts/smoke

docker: ## build the image hermes
	docker build -t hermes .

clean: ## remove what was built
	rm -rf bin dist cover.out

$(LINT):
	scripts/setup
