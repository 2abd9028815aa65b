# make up: a whole facility (FACILITY=dbconfig/demo.json); make test, make test-long; make lint. Everything installs itself into .venv,
# but for the Debian packages of make test-production.

PYTHON   ?= python3
FACILITY ?= dbconfig/demo.json
BIN      := .venv/bin
STAMP    := .venv/.installed

.PHONY: up docs protos peers test test-long test-production lint bench fuzz sbom audit soak soak-load web web-check screenshots clean

up: $(STAMP)
	@exec $(BIN)/diptych up $(FACILITY)

test: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow and not production and not long"

# What takes long because something hangs, dies and comes back; CI runs it after make test.
test-long: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadfile -m long

# With MariaDB and the C++ Tango database, private ones; as root on Debian their packages are installed first.
test-production: $(STAMP)
	@.ci/install-debian mariadb-server tango-db
	$(BIN)/pytest -n 2 --dist loadfile -m production tests/production

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/bandit -q -c pyproject.toml -r devices servers
	$(BIN)/mypy
	$(BIN)/lint-imports
	@mkdir -p build/protos && $(BIN)/python -m grpc_tools.protoc -Iprotos --python_out=build/protos --pyi_out=build/protos protos/daq_data.proto
	cmp build/protos/daq_data_pb2.py servers/daqdata/daq_data_pb2.py

# Clients of other projects that tests drive, whose own demands on versions fit nothing else here.
peers: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps panoseti-grpc==0.3.5
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target build/release dsconfig==1.9.1
	$(BIN)/python -m benchmarks.peer_home

# Thousands of damaged messages for each parser of what comes from outside; a table of what became of them.
fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz $(EXAMPLES)

# What a facility runs with, as a CycloneDX list; and what is known against it (exit code 2: nobody could be asked).
sbom: $(STAMP)
	@mkdir -p build && $(BIN)/python -m tests.support.runtime_packages > build/runtime.txt
	$(BIN)/cyclonedx-py requirements build/runtime.txt --output-reproducible -o build/sbom.json

audit: sbom
	@.ci/audit build/runtime.txt

bench: $(STAMP)
	$(BIN)/python -m benchmarks

# Break a facility in every way, and see what it keeps; HOURS=8 for so long, with a fault a minute (EVERY=0: one after the other;
# HOLD: how long a fault lasts, s). As root on Linux also disks, networks. docs/reliability.md has what came of it.
soak: $(STAMP)
	$(BIN)/python -m tests.faults $(if $(HOURS),--hours $(HOURS)) $(if $(EVERY),--every $(EVERY)) $(if $(HOLD),--hold $(HOLD)) $(SOAK)

# Hours of load: the mirror, exposures, searches.
soak-load: $(STAMP)
	$(BIN)/pytest -m slow --timeout=3600

# The page of servers/web is built from web/ by npm and committed; only who changes it needs Node 20 or newer.
web: web/node_modules
	cd web && npm run check && npm test && npm run build

# Whether the committed page is the one that its sources make.
web-check: web/node_modules
	cd web && npm run check && npm test && npx vite build --logLevel warn --outDir build/page
	diff -r web/build/page servers/web/page

# Pictures of the demo's panels for the documentation, docs/img/panel-*.png.
screenshots: $(STAMP)
	$(BIN)/python -m tests.support.screenshots

# The reference pages of the documentation, made from the code; a test says when they are old.
docs: $(STAMP)
	$(BIN)/python -m servers.reference docs/reference dbconfig/*.json

# What protoc makes of protos/, into the package that uses it; `make lint` says when it is not up to date.
protos: $(STAMP)
	$(BIN)/python -m grpc_tools.protoc -Iprotos --python_out=servers/daqdata --pyi_out=servers/daqdata protos/daq_data.proto

web/node_modules: web/package-lock.json
	cd web && npm ci --no-audit --no-fund
	@touch $@

# The stamp is the last thing written: an installation that was interrupted is begun again.
$(STAMP): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all,dev]'
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
