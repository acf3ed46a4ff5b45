# Two commands do everything on a fresh machine with Python 3.11 or later: `make run` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.locked
DEV    := $(VENV)/.locked-dev
JOBS   ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: run test test-all coverage notebooks lint format bench docs reference theory reference-policies studies mutation lock clean
.DEFAULT_GOAL := run

# The virtual environment is made anew only when a lock file changed: each stamp holds the checksum
# of the locks it was installed from.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "contention-sim needs Python 3.11 or later; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(STAMP): requirements.lock pyproject.toml | $(BIN)/python
	@echo "setting up $(VENV) (a minute, once)"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.lock $(STAMP)
	@echo "adding what tests and checks need to $(VENV)"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

run: $(STAMP)  ## the main job on a real scenario: table, plots and files under results/
	$(BIN)/contention-sim run scenarios/claim_storm.yaml --jobs $(JOBS)

test: $(DEV)  ## everything but the slow studies
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow"

test-all: $(DEV)  ## the slow studies too
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

coverage: $(DEV)  ## shares of lines and branches that `make test` runs; fails below 95 % of the lines
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow" --cov --cov-report json:$(VENV)/coverage.json
	$(BIN)/python -m tests.covered $(VENV)/coverage.json

notebooks: $(DEV)  ## execute the notebooks in place, with their outputs
	$(BIN)/python -m tests.notebooks

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV)  ## ratios against a bare SimPy skeleton, measured within one run
	$(BIN)/python -m pytest tests/benchmarks -m "" -s -p no:xdist

docs: $(DEV)  ## docs/reference.md, from the code
	$(BIN)/python -m tests.docs.reference

reference: $(STAMP)  ## the pictures that the README shows, and the gallery
	$(BIN)/contention-sim run claim_storm --jobs $(JOBS) --out $(VENV)/reference
	for plot in frequency recovery; do cp $(VENV)/reference/claim_storm/*/plots/$$plot.png results/reference/claim_storm-$$plot.png; done
	rm -r $(VENV)/reference
	$(BIN)/python -m tests.gallery

theory: $(DEV)  ## simulate every case whose answer is known, and write the table of results/reference
	$(BIN)/python -m tests.theory.table $(JOBS)

reference-policies: $(DEV)  ## tables and pictures of the retry policies, half an hour: waits, retry storm, AWS's experiment
	$(BIN)/python -m tests.reference.backoff_delays
	$(BIN)/python -m tests.reference.retry_storm --jobs $(JOBS)
	$(BIN)/python -m tests.reference.aws_backoff --jobs $(JOBS)

studies: $(DEV)  ## coverage of the intervals, variance saved by common random numbers: half an hour
	$(BIN)/python -m tests.studies.coverage
	$(BIN)/python -m tests.studies.crn

mutation: $(DEV)  ## mutants of the store and the retry policies, a sample: an hour and a half
	@$(BIN)/python -m pip install --quiet mutmut==3.8.1
	$(BIN)/python -m tests.mutation

lock: $(BIN)/python  ## resolve the locks anew from the ranges in pyproject.toml
	$(BIN)/python -m pip install --quiet pip-tools
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade $(LOCKFLAGS) --extra build -o requirements.lock pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade $(LOCKFLAGS) --extra build --extra dev --extra notebooks --extra dask -o requirements-dev.lock pyproject.toml
LOCKFLAGS := --generate-hashes --allow-unsafe --no-strip-extras --no-emit-options --no-emit-index-url --no-emit-find-links

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build mutants
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
