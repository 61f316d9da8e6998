# Every target sets up what it needs by itself: a virtual environment with pinned packages.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?=

.PHONY: demo test test-kill check format clean

demo: $(VENV)/.installed
	$(BIN)/textwright demo $(DEMO)

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest

# Every kill point and power cut; twenty minutes, and docs/reliability.md.
test-kill: $(VENV)/.installed-test
	$(BIN)/python -m tests.durability.record

check: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Textwright needs Python 3.11 or newer: make PYTHON=python3.12 ...')"
	@echo "Setting up $(VENV): some minutes and some hundred megabytes the first time (with torch's CUDA libraries some gigabytes)."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "Adding what the tests need to $(VENV)."
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable ".[test]"
	touch $@
