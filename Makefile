# Everything here sets up what it needs first; nothing has to be installed by hand.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: dist help demo test check lint types layers mutants faults fuzz soak screenshots docs lock clean

help:  ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "memtop needs Python 3.11 or newer; this is " + sys.version.split()[0] + ": run make PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)  ## open memtop on the embedded demo cluster
	$(BIN)/memtop --demo

test: $(READY)  ## run the tests that need no servers and no patience
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not real and not long"

lint: $(READY)  ## ruff
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(READY)  ## mypy, strict
	$(BIN)/mypy

layers: $(READY)  ## the import contracts
	$(BIN)/lint-imports

check: lint types layers test  ## all of these

mutants: $(READY)  ## put faults into the code and see whether the tests notice (takes an hour or two)
	$(BIN)/python benchmarks/mutants.py

faults: $(READY)  ## memtop's engine through every fault of its servers (takes some ten minutes)
	$(BIN)/python benchmarks/faults.py

fuzz: $(READY)  ## made and broken input for every decoder (takes twenty minutes)
	$(BIN)/python benchmarks/fuzz.py --seconds 1200

soak: $(READY)  ## two simulated days with faults: is memtop still as small and right (takes twelve minutes)
	$(BIN)/python benchmarks/soak.py

screenshots: $(READY)  ## a picture of every screen, from the demo
	$(BIN)/python -m screenshots.make

dist: $(READY)  ## one file that runs, man page, completions; with URL=… also krew manifest and Homebrew formula
	$(BIN)/python deploy/dist.py --url "$(URL)"

docs: $(READY)  ## the manual, as pages for a browser, into build/docs
	$(BIN)/python -m docs.generated
	$(BIN)/mkdocs build

lock:  ## resolve the dependencies afresh into constraints.txt (needs uv)
	uv pip compile pyproject.toml --group dev --extra dashboard --extra mcp --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet -o constraints.txt

clean:  ## remove what was made here
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
