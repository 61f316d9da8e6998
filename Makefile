# Every target sets up what it needs by itself: a virtual environment with pinned packages.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?=
ALONE := $(addprefix tests/cli/test_,chat.py cli.py) $(addprefix tests/engines/test_,cpu_decoder.py packing.py) \
	$(addprefix tests/training/test_,clock.py threads.py precision_choice.py)

.PHONY: demo test test-kill check format clean

demo: $(VENV)/.installed
	$(BIN)/textwright demo $(DEMO)

# One worker a core, each computing on one thread, files in their order; then, by itself, what needs all threads, a
# terminal or a steady clock.
test: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder \
		$(addprefix --ignore=,$(ALONE))
	$(BIN)/python -m pytest $(ALONE)

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
