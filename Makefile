# Everything that a fresh machine with Python 3.11-3.13, make and a network needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Another Python needs an environment of its own: make test PYTHON=python3.13 VENV=.venv-313
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo live test test-train fuzz soak docs lint types bench wheel report-in-browser lock clean

# The main job: replay the embedded default under five policies.
demo: $(VENV)/.run
	$(BIN)/twin run baseline --out out/baseline --force
	@echo "Look at out/baseline/figures/allocation.png"

# A twin of the default network that is fed its own trace, 60 times as fast as it was; Ctrl-C ends it.
SPEED ?= 60
live: $(VENV)/.dev
	$(BIN)/twin serve network --speed $(SPEED) --state out/live --port 8765

# Which tests: all but the long ones, which `make test TESTED=long` runs, and those of training.
TESTED ?= not train and not long
# In which folder: all of them.
IN ?= tests

# A worker on each core: more threads in each would wait for one another.
test: export OPENBLAS_NUM_THREADS = 1
test: $(VENV)/.dev
	$(BIN)/python -m pytest $(IN) -n auto --dist loadgroup -m "$(TESTED)"

# Training needs TensorFlow, which nothing else does.
test-train: export OMP_NUM_THREADS = 1
test-train: export TF_NUM_INTRAOP_THREADS = 1
test-train: $(VENV)/.train
	$(BIN)/python -m pytest -m train -n auto --dist loadgroup

# Nearly right inputs, so many of each kind: a few are part of the tests.
FUZZ ?= 2000
fuzz: $(VENV)/.dev
	FUZZ=$(FUZZ) $(BIN)/python -m pytest tests/fuzz tests/live/test_http_fuzz.py -n auto -q

# Hundreds of runs in one process: memory, descriptors and threads stay as they are.
soak: $(VENV)/.dev
	$(BIN)/python tests/bench/soak.py

# The documentation as a site, in out/site: every shipped scenario and every command in it is run.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(VENV)/.docs
	$(BIN)/mkdocs build

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python tests/bench/bench.py
	$(BIN)/python tests/bench/margin.py
	$(BIN)/python tests/bench/batches.py
	$(BIN)/python tests/bench/core.py
	$(BIN)/python tests/bench/matrices.py abilene

# Builds the wheel and uses it in an environment of its own, outside the checkout.
wheel: $(VENV)/.dev
	PYTHON=$(PYTHON) VENV=$(abspath $(VENV)) tests/wheel.sh

lock:
	$(PYTHON) -m pip install --quiet uv
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements.lock -q
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra dev -c requirements.lock -o requirements-dev.lock -q
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra docs -c requirements-dev.lock -o requirements-docs.lock -q
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra dev --extra train -c requirements-dev.lock -o requirements-train.lock -q

# Part of the tests where a Chromium is found; this keeps the screenshots and PDFs to look at.
report-in-browser: $(VENV)/.dev
	REPORT_PICTURES=out/report-in-browser $(BIN)/python -m pytest tests/unit/test_report_in_browser.py -v -rs

clean:
	rm -rf .venv .venv-* build dist out .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/.run: requirements.lock pyproject.toml
	$(call install,requirements.lock)

$(VENV)/.dev: requirements-dev.lock pyproject.toml
	$(call install,requirements-dev.lock)

$(VENV)/.docs: requirements-docs.lock pyproject.toml
	$(call install,requirements-docs.lock)

$(VENV)/.train: requirements-train.lock pyproject.toml
	$(call install,requirements-train.lock)

define install
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@
endef
