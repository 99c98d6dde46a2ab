# Two commands: `make run` starts the app, `make test` runs every test. Both set up what they need.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
export PIP_ROOT_USER_ACTION := ignore

.PHONY: run test test-slow setup setup-test check pocket-data pocket evaluate-pocket clean

run: setup  ## start the app on http://127.0.0.1:7860
	$(BIN)/python app.py

test: setup-test check  ## everything: ruff, mypy and all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow"

test-slow: setup-test  ## mini at its published size through the whole app: random weights, 1.1 GB of disk
	$(BIN)/python -m pytest -m slow -s

check: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(VENV)/.app  ## the virtual environment with what the app needs

setup-test: $(VENV)/.test chromium

$(VENV)/.venv:
	@$(PYTHON) -c "import sys, venv, ensurepip; assert sys.version_info[:2] == (3, 11)" 2>/dev/null \
	  || { echo "Python 3.11 with venv is needed (Debian 12: apt-get install python3.11-venv)," \
	  "or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# TORCH_INDEX: another package index for torch alone, see “Less to download” in the README.
$(VENV)/.app: $(VENV)/.venv requirements.txt constraints.txt
	$(if $(TORCH_INDEX),$(PIP) install --index-url $(TORCH_INDEX) torch==2.13.0)
	$(PIP) install -r requirements.txt -c constraints.txt
	@touch $@

$(VENV)/.test: $(VENV)/.app requirements-dev.txt
	$(PIP) install -r requirements-dev.txt -c constraints.txt
	@touch $@

.PHONY: chromium
chromium:  # the browser tests' browser, from Debian
	@command -v chromium >/dev/null || { \
	  if [ "$$(id -u)" = 0 ]; then SUDO=; else SUDO="sudo -n"; fi; \
	  $$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	} || { echo "The browser tests need chromium, and it could not be installed from here." \
	  "Install it (Debian: apt-get install chromium) and run make test again."; exit 1; }

pocket-data: $(VENV)/.test  ## the drawings that pocket learns from, rebuilt from npm packages
	@command -v npm >/dev/null || { echo "make pocket-data needs npm" \
	  "(Debian: apt-get install npm)."; exit 1; }
	cd training && npm install --ignore-scripts --no-audit --no-fund --no-package-lock
	$(BIN)/python -m training.build_sprites

training/data/sprites.parquet:
	$(MAKE) pocket-data

pocket: $(VENV)/.test training/data/sprites.parquet  ## train pocket anew; goes on where it was stopped
	for stage in drawing tokenizer vqgan tokens transformer export; do \
	  $(BIN)/python -m training.$$stage || exit 1; \
	done

training/runs/judge/judge.pt: training/data/sprites.parquet
	$(BIN)/python -m training.classifiers

evaluate-pocket: $(VENV)/.test training/runs/judge/judge.pt  ## draw and score the suite; SWEEP=1 tries other samplings
	$(BIN)/python -m training.evaluate $(if $(SWEEP),--sweep)

clean:  ## forget the environment and caches; keeps data and weights
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
