# Angarium. "make" lists the targets.
SHELL := /bin/bash
GO    ?= go
PKGS  ?= ./...

.PHONY: help build demo test race fuzz sim crash chaos bench lint cover docs clients clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/angarium and bin/syncctl
	$(GO) build -o bin/ ./cmd/angarium ./syncctl

demo: build ## Run a server with a demo account and mail in a temporary directory
	bin/angarium demo

test: ## Run the test suite
	$(GO) vet $(PKGS)
	$(GO) test $$($(GO) list $(PKGS) | grep -v '^angarium/test/')
	$(GO) test -p 1 ./test/... # these start servers: one at a time

race: ## Run the test suite with the race detector
	$(GO) test -race $(PKGS)

fuzz: ## Fuzz every target for FUZZTIME (default 30s) each
	test/fuzz.sh $(or $(FUZZTIME),30s)

sim: ## Simulated power cuts, faults and histories at full length
	ANGARIUM_SIM=20 $(GO) test -count=1 -timeout 60m ./replica/... ./mailstore/... ./eventlog/... ./internal/node/

crash: build ## Kill -9 under load, 200 rounds; ROUNDS=n changes that
	$(GO) run ./test/crash -rounds $(or $(ROUNDS),200)

chaos: build ## Two nodes, and three, under kills, pauses, failing links and clocks that step, 200 rounds; ROUNDS=n and SEED=n change that
	$(GO) run ./test/chaos -rounds $(or $(ROUNDS),200) -seed $(or $(SEED),0) -bin bin
	$(GO) run ./test/chaos -cluster -rounds $(or $(ROUNDS),200) -seed $(or $(SEED),0) -bin bin

clients: build ## Real clients and servers against it: Postfix, mbsync, curl, imaplib (installs them)
	test/clients/run.sh

bench: build ## Go benchmarks, and Dovecot and Cyrus beside us (installs them)
	test/bench/run.sh

lint: ## Vet, formatting and the layering of the packages
	test/lint.sh

cover: ## Coverage of the tests
	$(GO) test -coverprofile=cover.out $(PKGS) && $(GO) tool cover -func=cover.out | tail -1

docs: build ## Manual pages into dist/man
	mkdir -p dist/man && bin/angarium man dist/man && bin/syncctl man dist/man

clean: ## Remove what was built
	rm -rf bin dist cover.out
