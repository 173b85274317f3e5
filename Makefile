# One command each. `setup` runs first wherever it is needed and is quick when nothing changed.
PYTHON ?= python3
SHAPED := tests/unit/xray tests/unit/models tests/unit/images/test_tiling.py
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check
ARGS ?=
WORKERS ?= 2

# An environment is good for the same requirements in the same folder: it holds absolute paths, so
# a copied or moved checkout builds its own.
KEY := $(shell { cat pyproject.toml constraints.txt; pwd; } | cksum | tr ' ' '-')
STAMP := .venv/.setup-$(KEY)
PEERS := .venv/.peers-$(KEY)
HATS := .venv-hats/.setup-$(shell { cat constraints-hats.txt; pwd; } | cksum | tr ' ' '-')
PEERS_APT := bison byacc chromium flex g++ libfftw3-dev pkg-config

.PHONY: help setup demo test shapes check mutation lint format types imports docs wheel peers hats stilts standard weights clean
.NOTPARALLEL:

help: ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## */make \1\t/' | expand -t 16

setup: $(STAMP) ## .venv with the package installed, editable, and the tools

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit("wolter needs Python 3.11 or newer, and $(PYTHON) is %d.%d: set PYTHON=..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@grep -qsF ' $(CURDIR)/.venv' .venv/pyvenv.cfg && $(BIN)/python -c '' 2>/dev/null \
		|| { rm -rf .venv && $(PYTHON) -m venv .venv; }
	@echo 'Installing wolter into .venv (two minutes or so, the first time)'
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@rm -f .venv/.setup-* && touch $@

demo: setup ## simulate -> train -> evaluate -> register -> serve -> answer
	@$(BIN)/wolter demo

test: setup ## all tests but the long proofs, in two processes; ARGS="-k word" for some, WORKERS=0 for one
	@# Each of the hundred processes of the tests would compile all that it imports again.
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --no-loadscope-reorder $(ARGS)

shapes: setup ## tests of physics and models, with the shapes and types of all arguments checked
	@WOLTER_SHAPES=1 $(BIN)/python -m pytest -n 2 $(SHAPED)

check: lint types imports ## what a change needs before it is shown: lint, types, imports, its own unit tests
	@tests="$$($(BIN)/python tests/changed.py)"; \
		if [ -n "$$tests" ]; then $(BIN)/python -m pytest -q $$tests; else echo 'no unit test of what changed'; fi

mutation: setup ## the share of small changes to the code that tests notice; ARGS="xray/ogip/pha.py --n 20"
	@$(PIP) install -c constraints.txt -e '.[dev,mutation]'
	@$(BIN)/python tests/mutants.py $(ARGS)

lint: setup ## ruff: rules and format; deptry: imports are declared, and what is declared is imported
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/deptry .
	@$(BIN)/deptry platform jobs models --optional-dependencies-dev-groups test,dev,docs,mutation,peers --ignore DEP002

format: setup ## ruff: repair what it can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

types: setup ## mypy, strict on the package
	@$(BIN)/mypy

imports: setup ## import-linter: imports go one way
	@$(BIN)/lint-imports --no-logo

docs: setup ## build/site: the site of docs/, where every warning is an error
	@$(PIP) install -c constraints.txt -e '.[dev,docs]'
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo 'build/site/index.html'

wheel: setup ## dist/*.whl, installed into a clean environment and imported there, module by module
	@rm -rf build dist
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@rm -rf build && $(BIN)/python -m venv build/clean
	@build/clean/bin/python -m pip install --quiet --quiet --disable-pip-version-check \
		-c constraints.txt dist/*.whl
	@build/clean/bin/python -I tests/import_each.py --same-as platform/wolter
	@rm -rf build

peers: $(PEERS) ## the codes that some tests (make test ARGS="-m peers") and benchmarks compare with
	@$(MAKE) --no-print-directory hats \
		|| echo 'hats and lsdb cannot be installed here: tests of HATS collections are skipped'

hats: $(HATS) ## hats and lsdb in .venv-hats, as they need a newer pandas; tests let them read our catalogues

$(HATS):
	@rm -rf .venv-hats && $(PYTHON) -m venv .venv-hats
	@echo 'Installing hats and lsdb into .venv-hats (a minute or so, the first time)'
	@.venv-hats/bin/python -m pip --quiet --quiet --disable-pip-version-check install \
		--no-deps --no-compile -r constraints-hats.txt
	@touch $@

$(PEERS): $(STAMP)
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && ! dpkg -s $(PEERS_APT) >/dev/null 2>&1; then \
		apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PEERS_APT); \
	fi
	@echo 'Installing the peers into .venv (Sherpa is compiled)'
	@$(PIP) install -c constraints.txt -e '.[dev,peers]'
	@$(PIP) install -c constraints.txt --no-deps nnapec # its table alone is read
	@rm -f .venv/.peers-* && touch $@

stilts: ## Debian's validator of the Virtual Observatory; tests ask it where it is installed
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && ! command -v stilts >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends stilts; \
	fi

standard: setup ## the table of docs/results.md: 200,000 spectra of the NGC 7793 response, three families
	@$(BIN)/python jobs/publish_tables.py

weights: setup ## retrain, evaluate and write the pretrained weights (models/weights): an hour with a GPU, days on two cores; ARGS="mlp superres" for some
	@$(BIN)/python jobs/publish_weights.py $(ARGS)

clean: ## removes what make made; data and runs under .wolter stay
	rm -rf .venv .venv-hats build dist platform/*.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find benchmarks deploy jobs models platform tests -name __pycache__ -type d -prune -exec rm -rf {} +
