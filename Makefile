# Everything here sets itself up on a machine that has only Python >= 3.11, git and make.
# The first call installs (a few minutes); later calls start at once.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# One thread a process: two processes of one thread do the work that one of two cannot.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-long lint build verify lab docs docs-links clean

demo: $(READY)            ## the whole loop on a class of ten, in a scratch course
	$(BIN)/autograder demo

test: $(READY) lint       ## the tests: at most 20 minutes on two cores
	$(BIN)/vae-course build --check
	$(BIN)/pytest -n 2 --dist worksteal -m "not long"

test-long: $(READY)       ## what is slower
	$(BIN)/pytest -n 2 --dist worksteal -m "long and not alone"
	$(BIN)/pytest -m alone

lint: $(READY)
	$(BIN)/ruff check .

build: $(READY)           ## source/ and release/ from the reference and the assignments' text
	$(BIN)/vae-course build

verify: $(READY)          ## prove what students may and may not see
	$(BIN)/vae-course verify

lab: $(READY)             ## JupyterLab with the formgrader
	$(BIN)/jupyter lab

docs: $(READY)            ## the handbook as a site, build/docs/index.html; a dead link in it is an error
	$(BIN)/sphinx-build --quiet --nitpicky --fail-on-warning --keep-going docs build/docs

docs-links: $(READY)      ## whether the other sites that the handbook links to answer; needs a network
	$(BIN)/sphinx-build --builder linkcheck docs build/docs-links

$(READY): pyproject.toml tools/setup
	@tools/setup "$(PYTHON)" "$(VENV)"
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache
