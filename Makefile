# Plain POSIX make. Needs Node 20 or newer and npm; installs everything else by itself, once.
# node_modules/.bin comes first on PATH, so that each target runs on the Node 24 of package-lock.json.
WITH = PATH="$$PWD/node_modules/.bin:$$PATH"

help: ## what can be made (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' Makefile

run: ## a spoken conversation, live, recorded and replayed; INPUT=my.wav takes your own recording
	@sh scripts/install.sh run
	@$(WITH) node packages/cli/bin/rspp.js demo $${INPUT:+--input "$$INPUT"}

livekit-demo: ## the conversation through a LiveKit room: server, worker, caller; needs livekit-server on PATH or LIVEKIT_URL
	@sh scripts/install.sh run
	@$(WITH) node packages/cli/bin/rspp.js room demo

test: ## every check, then every test
	@sh scripts/install.sh all
	@$(WITH) node scripts/check.ts --tests

verify-quick: ## the gates a push must pass, two minutes; what came of each is in .rspp/verify/quick
	@sh scripts/verify.sh quick

verify-full: ## the gates a release must pass, ten minutes; what came of each is in .rspp/verify/full
	@sh scripts/verify.sh full

verify: ## the fast checks alone, without the tests and the gates
	@sh scripts/install.sh all
	@$(WITH) node scripts/check.ts

bench: ## measure speed, as ratios against a bare loop
	@sh scripts/install.sh all
	@$(WITH) node test/bench/run.ts

replay: ## execute every recording of test/corpus again: each must come out identical
	@sh scripts/install.sh all
	@$(WITH) node packages/cli/bin/rspp.js replay $$(find test/corpus -name '*.timeline' | sort)

sim: ## a minute of seeds in the simulated world, every rule checked; FOR=N seconds
	@sh scripts/install.sh all
	@$(WITH) node packages/cli/bin/rspp.js sim --seconds $${FOR:-60}

sim-long: ## many seeds on every core, and everything that can happen must have; SEEDS=N, default 20000
	@sh scripts/install.sh all
	@$(WITH) node packages/cli/bin/rspp.js sim --seeds $${SEEDS:-20000} --require-all

mutants: ## plant defects in a copy of the kernel and see which rule catches each; ONLY=id[,id], SEEDS=N
	@sh scripts/install.sh all
	@$(WITH) node scripts/mutants.ts $${ONLY:+--only "$$ONLY"} $${SEEDS:+--seeds "$$SEEDS"}

crash: ## kill a recording process with SIGKILL again and again, and read what is left; RUNS=N, default 1000
	@sh scripts/install.sh all
	@$(WITH) node test/crash/run.ts --runs $${RUNS:-1000}

lease: ## 8 processes contend for 200 sessions on PostgreSQL while they are killed and stopped; FOR=N seconds, SEED=S
	@sh scripts/install.sh all
	@$(WITH) node test/lease/run.ts --seconds $${FOR:-600} --seed $${SEED:-1}

soak: ## ten LiveKit rooms in one process, call after call; nothing may leak; FOR=N seconds, default 600
	@sh scripts/install.sh all
	@$(WITH) node test/soak/run.ts --seconds $${FOR:-600}

live: ## one spoken turn for each vendor whose key is in the environment; the others are not run
	@sh scripts/install.sh all
	@$(WITH) node test/live/run.ts

packages: ## build each package to JavaScript and pack it: dist/tarballs
	@sh scripts/install.sh all
	@$(WITH) node scripts/build-packages.ts

api-docs: ## write the reference of every public module: dist/api
	@sh scripts/install.sh all
	@$(WITH) node scripts/build-packages.ts --no-pack
	@$(WITH) node scripts/generate-api-docs.ts

format: ## rewrite the sources in the house format
	@sh scripts/install.sh all
	@$(WITH) node scripts/check.ts --format

install: ## install everything that the other targets need
	@sh scripts/install.sh all

.PHONY: help run livekit-demo test verify-quick verify-full verify bench replay sim sim-long mutants crash lease soak live packages api-docs format install
