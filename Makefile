# make up: a whole facility (FACILITY=dbconfig/demo.json); make test; make lint. Everything installs itself into .venv.

PYTHON   ?= python3
FACILITY ?= dbconfig/demo.json
BIN      := .venv/bin
STAMP    := .venv/.installed

.PHONY: up test lint bench soak clean

up: $(STAMP)
	@exec $(BIN)/diptych up $(FACILITY)

test: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m benchmarks

soak: $(STAMP)
	$(BIN)/pytest -m slow --timeout=3600

# The stamp is the last thing written: an installation that was interrupted is begun again.
$(STAMP): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all,dev]'
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
