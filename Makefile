# Everyday commands; `make help` lists them. All set-up goes into .venv/, by Python 3.11 or later and nothing else.
#   PYTHON=python3.12   which Python to make .venv/ with (default: one is found)
#   ARGS="..."          passed on to the command: make test ARGS="-k store"

ARGS ?=
PYTHON ?=
export PYTHON
# In the locale C, Python 3.11 can't start from a folder with an umlaut in its path.
ifneq (,$(filter C POSIX,$(LC_ALL)))
export LC_ALL := C.UTF-8
endif

.DEFAULT_GOAL := help
.PHONY: run test check format circle bench bench-models bench-peers loadtest profile guard hillstrom docs image lock clean help

run: ## Serve the demo company on http://127.0.0.1:8080 (ARBITER_HOST, ARBITER_PORT, ARBITER_DATA)
	@sh requirements/setup.sh run
	@exec .venv/bin/arbiter run $(ARGS)

test: ## Run the tests
	@sh requirements/setup.sh dev
	@exec .venv/bin/pytest --numprocesses auto --dist loadfile $(ARGS)

check: ## Lint, formatting, types and import contracts
	@sh requirements/setup.sh dev
	@.venv/bin/ruff check --quiet .
	@said=$$(.venv/bin/ruff format --check . 2>&1) || { echo "$$said"; echo "Put it right with: make format"; exit 1; }
	@said=$$(.venv/bin/lint-imports --no-logo 2>&1) || { echo "$$said"; exit 1; }
	@.venv/bin/mypy

format: ## Put formatting and import order right
	@sh requirements/setup.sh dev
	@.venv/bin/ruff check --quiet --fix . ; .venv/bin/ruff format .

circle: ## Simulate ten days of the demo company: log, join, train, gate, promote; what learning is worth
	@sh requirements/setup.sh run
	@exec .venv/bin/arbiter simulate examples/telco $(ARGS)

bench: ## Measure decisions beside a bare FastAPI endpoint and the usual way (ARGS=--quick: two minutes)
	@sh requirements/setup.sh dev
	@exec .venv/bin/arbiter bench $(ARGS)

bench-models: ## Train on public data, beside published figures, and write docs/models.md (ARBITER_DATA_DIR)
	@sh requirements/setup.sh dev
	@exec .venv/bin/python -m loadtests.realdata $(ARGS)

bench-peers: ## Measure what others need for the same decisions; installs each into ARBITER_DATA/peers
	@sh requirements/setup.sh dev
	@exec .venv/bin/python -m loadtests.peers $(ARGS)

loadtest: ## Put a realistic mix of load on a service of its own; fails when a budget is broken
	@sh requirements/setup.sh dev
	@exec .venv/bin/python -m loadtests.run $(ARGS)

profile: ## Show where a decision's microseconds go, by stage
	@sh requirements/setup.sh dev
	@exec .venv/bin/python -m loadtests.profile $(ARGS)

guard: ## Compare the instructions that a decision takes with what was agreed (needs valgrind)
	@sh requirements/setup.sh dev
	@exec .venv/bin/python -m loadtests.guard $(ARGS)

hillstrom: ## What the engine earns on a real randomised e-mail trial (ARBITER_DATA_DIR)
	@sh requirements/setup.sh run
	@exec .venv/bin/python -m examples.hillstrom.evaluate $(ARGS)

docs: ## Write docs/reference/ afresh from the code
	@sh requirements/setup.sh dev
	@.venv/bin/python -m service.cli.reference docs/reference

image: ## Build the container image arbiter-nba
	@command -v docker >/dev/null || { echo "make image needs Docker; make run does without." >&2; exit 1; }
	@exec docker build --tag arbiter-nba $(ARGS) .

LOCK = .venv/lock/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links $(ARGS)

lock: ## Pin the dependencies of pyproject.toml again (ARGS=--upgrade: to the newest)
	@sh requirements/setup.sh run
	@.venv/bin/python -m venv .venv/lock
	@.venv/lock/bin/pip install --quiet --only-binary :all: --require-hashes --requirement requirements/lock.txt
	$(LOCK) --extra build --output-file requirements/run.txt
	$(LOCK) --extra dev --constraint requirements/run.txt --output-file requirements/dev.txt

clean: ## Remove the environment, caches and results; the data in .arbiter/ stays
	@rm -rf .venv dist loadtests/results .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile
