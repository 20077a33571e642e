# Two commands do everything: `make sweep` and `make test`. The first run of any target sets up
# $(VENV) from the hashed requirements.txt, with uv where it is on the PATH and with pip elsewhere.

PYTHON ?= python3
VENV ?= .venv
PRESET ?= sweep
FLAGS ?=
MARKS ?= not slow and not long
PYTEST_FLAGS ?= -n 2 --dist loadfile -m "$(MARKS)"
LOGDIR ?= runs
ROWS ?=

BIN := $(VENV)/bin
PEERS := .venv-peers
STAMP := $(VENV)/.stamp
ifdef DEVICE  # make sweep DEVICE=cuda13, or tpu: adds that plugin of the locked jax
READY := $(STAMP)-$(DEVICE)
else
READY := $(STAMP)
endif
# The lock is written for every Python from 3.11 on, and never names where packages come from.
COMPILE = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--extra dev --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock"
CHECKED := lib experiments tests $(wildcard launch benchmarks)

export UV_PYTHON_DOWNLOADS := never

.DELETE_ON_ERROR:
.PHONY: help sweep test benchmark check check-lock format docs lock tensorboard clean

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

sweep: $(READY)  ## train a batch-size x learning-rate plane: make sweep FLAGS="--seeds=5"
	@$(BIN)/python experiments/batch_size_vs_learning_rate.py --preset=$(PRESET) $(FLAGS)

test: $(READY)  ## run the short tests; the others: make test MARKS="slow or long"
	@$(BIN)/python -m pytest $(PYTEST_FLAGS)

benchmark: $(READY) $(PEERS)/.stamp  ## us and the peers side by side: make benchmark ROWS="records help"
	@$(BIN)/python benchmarks/run.py --peers=$(PEERS)/bin/python $(ROWS)

check: $(STAMP) check-lock  ## format, lint, types, and the lock against pyproject.toml
	@$(BIN)/ruff format --check --quiet $(CHECKED) || { echo "error: run make format" >&2; exit 1; }
	@$(BIN)/ruff check --quiet $(CHECKED)
	@$(BIN)/mypy --no-error-summary

format: $(READY)  ## format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix --quiet $(CHECKED); $(BIN)/ruff format --quiet $(CHECKED)

docs: $(READY)  ## write a page for every experiment: experiments/pages
	@$(BIN)/python experiments/make_pages.py

lock: $(READY)  ## write requirements.txt again: make lock LOCK_FLAGS=--upgrade
	@$(COMPILE) $(LOCK_FLAGS) --output-file requirements.txt

# Starts from the present lock, so that only a change of pyproject.toml shows, not a new release.
check-lock: $(STAMP)
	@fresh=$$(mktemp) && trap 'rm -f "$$fresh"' EXIT && cp requirements.txt "$$fresh" && \
	$(COMPILE) --output-file "$$fresh" && { diff requirements.txt "$$fresh" || \
	{ echo "error: requirements.txt does not fit pyproject.toml: run make lock" >&2; exit 1; }; }

# TensorBoard keeps a file open for every run and silently drops those beyond the limit.
tensorboard: $(READY)  ## look at the runs: make tensorboard LOGDIR=runs
	@ulimit -n "$$(ulimit -Hn)" 2>/dev/null || true; \
	exec $(BIN)/tensorboard --host localhost --logdir $(LOGDIR)

clean:  ## remove the environments and caches, and keep the runs
	rm -rf .venv .venv-* .pytest_cache .ruff_cache .mypy_cache lib/*.egg-info
	find lib experiments tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp comes last: an interrupted set-up leaves none, and the next make starts it again.
$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "error: $(PYTHON) is not Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
	exit 1; }
	@echo "Setting up $(VENV) from requirements.txt (once; a minute with pip, seconds with uv)"
	@$(if $(shell command -v uv),$(UV_SETUP),$(PIP_SETUP))
	@touch $@

# PyTorch and tensorboardX stay out of the environment that minima runs in.
$(PEERS)/.stamp: benchmarks/requirements.txt
	@echo "Setting up $(PEERS) from benchmarks/requirements.txt (once)"
	@$(PYTHON) -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip install -qq --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@

$(STAMP)-%: $(STAMP)
	@echo "Adding the plugin for $*"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation -e ".[$*]"
	@touch $@

SAME_PYTHON = $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null

define UV_SETUP
	set -e; $(SAME_PYTHON) || uv venv --quiet --clear --python "$$(command -v $(PYTHON))" $(VENV); \
	uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.txt; \
	uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
endef

define PIP_SETUP
	set -e; $(SAME_PYTHON) && $(BIN)/python -m pip --version >/dev/null 2>&1 || \
	$(PYTHON) -m venv --clear $(VENV) || { \
	echo "error: $(PYTHON) cannot make environments (on Debian: apt-get install python3-venv)" >&2; \
	exit 1; }; \
	export PIP_DISABLE_PIP_VERSION_CHECK=1; \
	$(BIN)/python -m pip install -qq --require-hashes -r requirements.txt; \
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
endef
