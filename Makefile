# The whole workshop: `make help` lists it. Every target can be run again at any time.
.DEFAULT_GOAL := help
.PHONY: help setup dev test lint unit acceptance bench bench-service drills long-run certify-reference docs lock clients provider clean

PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest
SIDE_BY_SIDE := -n auto --no-loadscope-reorder --dist
ALONE = $$(grep -rlE 'pytest\.mark\.alone' tests --include='test_*.py')
# What is set in many containers: each worker would compile the tests, and what they import, anew.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this help
	@sed -nE 's/^([a-z-]+):.* ## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## Install what is missing: Debian's packages (as root) and .venv
	@bash scripts/setup.sh

dev: setup ## Bake the images, roll out dev on the local cloud, show its addresses
	@./cli.py up dev --yes
	@./cli.py status dev

test: setup ## Run every test: linters, unit, component, end to end (needs root)
	@status=0; \
	$(PYTEST) $(SIDE_BY_SIDE) loadfile --durations=10 -m "not alone" || status=$$?; \
	$(PYTEST) $(SIDE_BY_SIDE) loadfile -n 2 --durations=10 -m alone $(ALONE) || status=$$?; \
	exit $$status

lint: setup ## Run the linters alone
	$(PYTEST) $(SIDE_BY_SIDE) load tests/lint

unit: setup ## Run the tests that need neither root nor a cloud
	$(PYTEST) $(SIDE_BY_SIDE) loadfile tests/unit

bench: setup ## Measure, and print the table of the README
	$(PYTHON) -m tests.bench

bench-service: setup ## Hold the whole service against its terms: the table of docs/load.md (over an hour)
	$(PYTHON) -m tests.bench.promises

drills: setup ## Run every drill on dev, which is rolled out if need be: the tables of docs/drills.md (some twenty minutes)
	$(PYTHON) tools/drills.py

clients: setup ## Build Packer and its yandex plugin into the cache, where this machine has none (needs Go)
	@$(PYTHON) -m samovar.images.builders.packer.toolchain

provider: setup ## Build Yandex's Terraform provider, and OpenTofu where it is needed, for the test that runs them (needs Go)
	@$(PYTHON) -m tests.support.terraform

acceptance: setup ## Run Yandex's own acceptance tests of its provider against the local cloud (needs Go; some ten minutes)
	$(PYTHON) -m tests.acceptance

long-run: setup ## Live through a simulated day of rollouts, kills and load, and print what it takes (a few minutes)
	$(PYTHON) -m tests.bench.long_run

certify-reference: setup ## Record anew what the local cloud does on the programme of `certify` (some ten minutes)
	$(PYTHON) -m tests.bench.certify_reference

docs: setup ## Write the pages and tables of docs/ anew that come from the code
	$(PYTHON) tools/docs.py docs

lock: ## Renew the locks after a change of pyproject.toml
	@bash scripts/lock.sh

clean: ## Remove caches and .venv; images and clouds stay (see `./cli.py cloud down`)
	rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
