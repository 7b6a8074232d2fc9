# Two commands on a fresh machine: `make repro` runs the whole experiment, `make test` checks everything. Both create the environment.
PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# A user's own Python settings must not leak into the environment.
unexport PYTHONPATH PYTHONHOME

# Where pip-tools lives while it locks; make clean removes it.
LOCK := .scratch/lock

.PHONY: help venv lock repro test check bench torture lint format clean repair

help: ## Show the commands.
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

venv: $(INSTALLED) ## Create .venv with the pinned packages.

$(INSTALLED): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, found $$($(PYTHON) --version); try make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $(INSTALLED)

lock: ## Write requirements.txt anew from pyproject.toml; pins that still fit stay. `rm` a line first to renew that package.
	$(PYTHON) -m venv $(LOCK)
	$(LOCK)/bin/python -m pip install --quiet --disable-pip-version-check pip-tools==7.6.2
	cp requirements.txt $(LOCK)/requirements.txt
	$(LOCK)/bin/pip-compile --quiet --all-extras --strip-extras --no-header --annotation-style line --no-emit-index-url \
	  --no-emit-trusted-host --no-emit-find-links --output-file $(LOCK)/requirements.txt pyproject.toml
	@# The head of the file stays. What belongs to one build of torch goes: the lock is the same with and without a GPU.
	{ grep '^#' requirements.txt; grep '^[A-Za-z]' $(LOCK)/requirements.txt | grep -v -E '^(cuda|nvidia|triton)' \
	  | sed -E 's/\+(cpu|cu[0-9]+)/    /; s/dars \(pyproject.toml\)/pyproject.toml/'; } > $(LOCK)/locked.txt
	mv $(LOCK)/locked.txt requirements.txt

repro: $(INSTALLED) ## Run the whole experiment: data, rounds 0-2, metrics, report.
	@# DVC's experiments are git commits; where git knows nobody, this clone gets a name of its own.
	@git config user.email > /dev/null || git config user.email dars@localhost
	@git config user.name > /dev/null || git config user.name dars
	dvc repro

test: lint ## Lint, type-check and test.
	@# A file of tests to a core; one thread each, so that two do not fight for one.
	OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: lint ## Lint, type-check and test what takes milliseconds: the inner loop.
	OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile --quiet -m "not slow"

bench: $(INSTALLED) ## Measure the pixel paths beside their references and limits: a table of ratios.
	OMP_NUM_THREADS=1 python -m tests.benchmarks $(BENCH)

torture: $(INSTALLED) ## Kill, damage and starve a tiny experiment; TORTURE="--kills 1000" says how (python -m tests.torture --help).
	OMP_NUM_THREADS=1 python -m tests.torture $(TORTURE)

lint: $(INSTALLED)
	ruff check
	ruff format --check
	mypy
	lint-imports

format: $(INSTALLED) ## Format the code and mend what the linter can.
	ruff format
	ruff check --fix

clean: ## Remove partial work of interrupted runs and killed experiments; finished artifacts stay.
	@python -m stages.clean

repair: $(INSTALLED) ## Put right what a kill of dvc or a power cut has torn, where dvc cannot start or its cache is damaged.
	@python -m stages.repair
