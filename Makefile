# What a person does with Flywheel, from a machine that has Python >= 3.11 and make. `make help` lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CHECK_PYTHON = $(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and \
  "Flywheel needs Python 3.11 or later, $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12 ..." % v[:2])'
CODE := include plugins dags scripts tests benchmarks

.DEFAULT_GOAL := help
# Every target here is a command, and no file.
.PHONY: $(shell grep -oE '^[a-z-]+:' $(firstword $(MAKEFILE_LIST)) | tr -d :)
.DELETE_ON_ERROR:

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(INSTALLED)  ## Install what requirements.txt locks into .venv (again only when it changed)

install: venv  ## The same as venv

# uv installs the lock, and uv stands in the lock itself: pip installs that block alone, hashes checked.
# Later it brings itself, too, to what the lock says. Compiled once here, or every process that is not allowed to
# write bytecode compiles Airflow and MLflow again: seconds each.
$(INSTALLED): requirements.txt
	@[ -x $(BIN)/python ] || { $(CHECK_PYTHON) && $(PYTHON) -m venv $(VENV); }
	@[ -x $(BIN)/uv ] || { awk '/^[^ #]/ {inside = /^uv==/} inside && !/^ *#/' $< > $(VENV)/uv.txt && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.txt; }
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes $<
	@touch $@

lock: venv  ## Resolve requirements.in into requirements.txt, with hashes, for every platform
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 scripts/labelling/requirements.in -o scripts/labelling/requirements.txt

up: venv  ## Start Airflow, MLflow and serving on this machine
	@$(BIN)/python -m scripts.stack up

down: venv  ## Stop them, and whatever a crash left behind
	@$(BIN)/python -m scripts.stack down

status: venv  ## Say how each part is (exit code 1 when not all are healthy)
	@$(BIN)/python -m scripts.stack status

new: venv  ## Make USE_CASE=customers from DATA=customers.csv, and land it (OUTCOMES=left.csv LABEL=left KEY=customer TIME=none)
	@$(BIN)/python -m scripts.new --use-case "$(USE_CASE)" --data "$(DATA)" $(if $(OUTCOMES),--outcomes "$(OUTCOMES)") $(if $(LABEL),--label "$(LABEL)") $(if $(KEY),--key "$(KEY)") $(if $(TIME),--time "$(TIME)")

validate: venv  ## Check use cases and landed files without Airflow (USE_CASE=customers, DATA=folder, ALL=1)
	@$(BIN)/python -m scripts.validate $(if $(USE_CASE),--use-case "$(USE_CASE)") $(if $(DATA),--data "$(DATA)") $(if $(ALL),--all)

explain: venv  ## Print the effective configuration of USE_CASE=flight_delays, and where each value comes from
	@$(BIN)/python -m scripts.explain "$(USE_CASE)"

experiment: venv  ## Tune and evaluate USE_CASE=flight_delays in this terminal (SET="train.tuning.trials=5 train.max_rows=20000")
	@$(BIN)/python -m scripts.experiment "$(USE_CASE)" $(foreach change,$(SET),--set "$(change)")

outdated: venv  ## List what an earlier definition has made, and how to rebuild it
	@$(BIN)/python -m scripts.outdated

labelling-up: venv  ## Start Label Studio on this machine, in an environment of its own (1 GB)
	@$(BIN)/python -m scripts.labelling up

labelling-down: venv  ## Stop Label Studio
	@$(BIN)/python -m scripts.labelling down

api-key: venv  ## Make an API key of the scoring server for NAME=billing (USE_CASE=flight_delays DAYS=90 RATE=100)
	@$(BIN)/python -m scripts.api_key make "$(NAME)" --use-cases "$(USE_CASE)" $(if $(DAYS),--days "$(DAYS)") $(if $(RATE),--rate "$(RATE)")

api-keys: venv  ## List the API keys
	@$(BIN)/python -m scripts.api_key list

revoke-api-key: venv  ## Revoke the API key ID=..., as `make api-keys` shows it
	@$(BIN)/python -m scripts.api_key revoke "$(ID)"

logs: venv  ## Follow the logs of all parts
	@$(BIN)/python -m scripts.stack logs --follow

demo: venv  ## Run all phases on real flights, from landed files to a retrained model
	@$(BIN)/python -m scripts.demo

lineage: venv  ## Print where MODEL=flight_delays/2 or PARTITION=flight_delays/2013-05 came from (JSON=1)
	@$(BIN)/python -m scripts.lineage $(if $(MODEL),--model "$(MODEL)") $(if $(PARTITION),--partition "$(PARTITION)") $(if $(JSON),--json)

export-boxes: venv  ## Write the boxes that people drew for USE_CASE=letters into TO=<a new folder>, as a COCO data set
	@$(BIN)/python -m scripts.export_boxes "$(USE_CASE)" --to "$(TO)"

export: venv  ## Write MODEL=flight_delays/2 into TO=<a new folder>, to embed it in another program
	@$(BIN)/python -m scripts.export_model $(if $(MODEL),--model "$(MODEL)") $(if $(TO),--to "$(TO)")

reproduce: venv  ## Fit MODEL=flight_delays/2 again from its pins, and compare the two (JSON=1)
	@$(BIN)/python -m scripts.reproduce $(if $(MODEL),--model "$(MODEL)") $(if $(JSON),--json)

replay: venv  ## Replay the history of USE_CASE=flight_delays under several retraining policies (LABEL_DELAY=1, TRIALS=3)
	@$(BIN)/python -m scripts.replay $(USE_CASE) $(if $(LABEL_DELAY),--label-delay $(LABEL_DELAY)) $(if $(TRIALS),--trials $(TRIALS))

backup: venv  ## Copy databases, lake, models and landed files of the stack into BACKUP=<folder> (KEYS=<another folder>)
	@$(BIN)/python -m scripts.backup save "$(BACKUP)" $(if $(KEYS),--keys "$(KEYS)")

restore: venv  ## Make a home of BACKUP=<folder> (KEYS=<folder>; REPLACE=<home> moves what is there aside)
	@$(BIN)/python -m scripts.backup restore "$(BACKUP)" $(if $(KEYS),--keys "$(KEYS)") $(if $(REPLACE),--replace "$(REPLACE)")

rotate-signing-key: venv  ## Make a new signing key; what the former one signed stays valid (CLUSTER=1: in cluster.env)
	@$(BIN)/python -m scripts.rotate signing-key $(if $(CLUSTER),--cluster)

withdraw-signing-key: venv  ## Trust the present signing key alone (CLUSTER=1)
	@$(BIN)/python -m scripts.rotate withdraw $(if $(CLUSTER),--cluster)

rotate-fernet-key: venv  ## Encrypt Airflow's connections and variables with a new key (CLUSTER=1)
	@$(BIN)/python -m scripts.rotate fernet-key $(if $(CLUSTER),--cluster)

cluster-install: venv  ## Install Postgres, Redis and nginx from Debian, for cluster-up (root)
	@$(BIN)/python -m scripts.cluster.install

secrets: venv  ## Make cluster.env: settings and new secrets of a cluster, readable by you only
	@$(BIN)/python -m scripts.cluster secrets

cluster-up: venv  ## Start a cluster on this machine: Postgres, Redis, S3 server, Celery workers, replicas
	@$(BIN)/python -m scripts.cluster up

cluster-down: venv  ## Stop the cluster
	@$(BIN)/python -m scripts.cluster down

cluster-demo: venv  ## Run the demo on the cluster: the same months, landed in its object store
	@$(BIN)/python -m scripts.demo cluster

cluster-status: venv  ## Say how each part of the cluster is (exit code 1 when not all are healthy)
	@$(BIN)/python -m scripts.cluster status

image: venv  ## Build the image of docker-compose.yaml, and stand-ins for images that cannot be pulled
	@$(BIN)/python -m scripts.images

cluster-backup: venv  ## Copy databases and object store of the cluster into BACKUP=<folder> (KEYS=<another folder>)
	@$(BIN)/python -m scripts.backup save-cluster "$(BACKUP)" $(if $(KEYS),--keys "$(KEYS)")

cluster-restore: venv  ## Start a cluster with what BACKUP=<folder> holds (REPLACE=<lake>: give up what is there)
	@$(BIN)/python -m scripts.backup restore-cluster "$(BACKUP)" $(if $(REPLACE),--replace "$(REPLACE)")

USUAL = not cluster and not compose and not labelling and not slow $(if $(BROWSER),,and not browser)
ALONE = tests/faults tests/end_to_end tests/scripts/stack
# Each process imports Airflow and MLflow: half a GiB.
AT_ONCE = --numprocesses logical --maxprocesses 4 --dist loadfile

check: lint  ## Lint, types, architecture and the fast tests: before each commit
	$(BIN)/python -m pytest -q $(AT_ONCE) -m "$(USUAL) and not end_to_end" --ignore tests/dags

lint: venv  ## Lint, format, types and architecture, without tests
	@! git grep -nE '^(<<<<<<<|>>>>>>>) ' || { echo 'A merge was not finished.'; exit 1; }
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

# Test files that start servers or measure time run alone, the others in parallel.
test: venv  ## Unit tests, Dags, and the real stack end to end (BROWSER=1: also its pages); other targets have the rest
	@failed=0; set -x; \
	$(if $(BROWSER),$(BIN)/python -m scripts.browser || failed=1;) \
	$(BIN)/python -m pytest $(AT_ONCE) -m "$(USUAL)" $(ALONE:%=--ignore %) || failed=1; \
	$(BIN)/python -m pytest -m "$(USUAL)" $(ALONE) || failed=1; \
	exit $$failed

test-browser: venv  ## Use Airflow's real pages with a headless browser (installs Debian's Chromium; 10 minutes)
	@$(BIN)/python -m scripts.browser
	$(BIN)/python -m pytest -m browser

test-slow: venv  ## What CI leaves out: backups, monitoring and approvals on a real stack, parts killed, a store that fails (25 minutes)
	$(BIN)/python -m pytest -m "slow and not browser"

test-cluster: venv  ## A use case on a cluster of plain processes, compared with one machine (6 minutes)
	@$(BIN)/python -m scripts.cluster.install
	$(BIN)/python -m pytest -m cluster tests/cluster --ignore-glob '*faults.py'

test-cluster-quick: venv  ## The part of the cluster tests that CI runs: a worker lost in three phases (8 minutes)
	@$(BIN)/python -m scripts.cluster.install
	$(BIN)/python -m pytest -m cluster tests/cluster/test_worker_faults.py

test-faults-cluster: venv  ## Parts of a cluster lost, its store failing, a full disk (45 minutes)
	@$(BIN)/python -m scripts.cluster.install
	$(BIN)/python -m pytest -s -m cluster tests/cluster/test_*faults.py

test-labelling: venv  ## A round in the real Label Studio, answered in its pages by a browser (3 minutes)
	@$(BIN)/python -m scripts.browser
	$(BIN)/python -m pytest -m labelling tests/labelling

test-compose: image  ## Run docker-compose.yaml with a Docker engine: a model is trained and serves, restrictions hold (minutes)
	$(BIN)/python -m pytest -s -m compose tests/compose

test-faults: venv  ## The faults alone: killed parts, damaged files, requests without a login (minutes)
	$(BIN)/python -m pytest tests/faults

bench: venv  ## Measure the figures of README.md
	@$(BIN)/python -m benchmarks

bench-decisions: venv  ## Measure how often the gate and the monitor are wrong, where the truth is known (15 minutes)
	@$(BIN)/python -m benchmarks.decisions

# FLAML is installed beside the locked packages, without theirs: nothing else ever imports it.
bench-models: venv  ## Compare the models that a search finds with those of FLAML in the same time (15 minutes)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --target $(VENV)/flaml flaml==2.8.0 xgboost==2.1.4
	@PYTHONPATH=$(VENV)/flaml:. $(BIN)/python -m benchmarks.models

bench-active-learning: venv  ## Compare labels chosen by uncertainty with labels chosen by chance, on digits (3 minutes)
	@$(BIN)/python -m benchmarks.active_learning

bench-first-model: venv  ## Measure the time from a file to a served model, on five tables (8 minutes)
	@$(BIN)/python -m benchmarks --only first_model

bench-serving: venv  ## Measure the scoring server under load, beside mlflow models serve (5 minutes; apt-get install wrk nghttp2-client)
	@$(BIN)/python -m benchmarks.serving_load

bench-memory: venv  ## Measure memory and time of 10 million rows, and 10,000 appends (10 minutes, 8 GiB of disk)
	@$(BIN)/python -m benchmarks.memory
	@$(BIN)/python -m benchmarks --only requests_append

bench-cluster: venv  ## Measure workers, partitions and use cases on a cluster of plain processes (40 minutes)
	@$(BIN)/python -m scripts.cluster.install
	@$(BIN)/python -m benchmarks --only cluster_workers cluster_use_cases

audit: venv  ## Compare the locked packages with the advisory database (needs pypi.org; see SECURITY.md)
	@$(BIN)/python -m scripts.audit

licences: venv  ## List the licences of the locked packages; fails on one that is not allowed
	@$(BIN)/python -m scripts.licences

sbom: venv  ## Write the installed packages as a CycloneDX bill of materials, sbom.json
	@$(BIN)/cyclonedx-py environment --output-reproducible --no-validate --of JSON -o sbom.json $(BIN)/python

schema: venv  ## Write the JSON Schema of use_case.yaml, for editors, and the documented table of algorithms
	@$(BIN)/python -m include.use_cases.publish_schema
	@$(BIN)/python -m scripts.algorithm_table

page:  ## Build Flywheel's page in Airflow from web/ (needs Node 20)
	cd web && npm ci --no-audit --no-fund && npm run build

clean:  ## Remove caches (keeps .venv and the stack's state in .flywheel)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
