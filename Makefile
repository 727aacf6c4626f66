# Neural Networks from Scratch, Measured. `make` alone, or `make help`, lists what there is.
# README.md gives the main commands to those who have no make; a test compares.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The kernel of this environment, not one of the same name that the user has elsewhere.
export JUPYTER_PREFER_ENV_PATH := 1
export PYDEVD_DISABLE_FILE_VALIDATION := 1
# Chapters run in their own folders, from where a relative path would lead elsewhere; "none" is no path.
ifneq ($(filter-out /% ~% none,$(firstword $(NNKIT_DATA))),)
export NNKIT_DATA := $(CURDIR)/$(NNKIT_DATA)
endif
# One BLAS thread a process: these matrices are small, and threads that wait for each other are slower than one.
export OPENBLAS_NUM_THREADS := 1
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
# Fonts and style of this environment: a font list that another installation left behind would change the figures.
export MPLCONFIGDIR := $(CURDIR)/$(VENV)/matplotlib

# What pip would say beside an error.
export PIP_QUIET := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

CHAPTERS := $(wildcard book/part*/*.ipynb)
PYTEST := $(BIN)/python -m pytest
WITHOUT_MNIST := NNKIT_DATA=none
# The tests that read MNIST, or chapters that ran on it, and must pass where it is not.
READ_MNIST := $(patsubst %,tests/%.py,nnkit/test_datasets nnkit/test_mnist nnkit/test_neighbors book/test_experiments \
  book/test_labs book/test_launch book/test_notebooks book/test_prose book/test_replication test_project)
# One notebook stays on one worker: its cells depend on each other.
NBVAL := $(PYTEST) -q -n 2 --dist loadfile --nbval --nbval-current-env --nbval-cell-timeout 120 -W default

# Every target writes here. Programs say by a traceback, and halfway, that they cannot.
UNWRITABLE := $(shell for folder in "$$PWD" "$$PWD/_build"; do \
  [ ! -e "$$folder" -o -w "$$folder" ] || { echo "$$folder"; break; }; done)
ifneq ($(and $(UNWRITABLE),$(filter-out help,$(MAKECMDGOALS))),)
$(error $(UNWRITABLE) cannot be written: copy the checkout, without .venv and _build, to a folder of your own and \
  run make there)
endif

# The parts of a test read what the one before has built, and each keeps two processes busy.
.NOTPARALLEL:

.PHONY: help env book pdf test test-code test-package test-notebooks lint lab notebooks experiments replicate bench clean

help: ## list what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1|\2/' | \
	  while IFS='|' read -r name text; do printf '  %-18s %s\n' "$$name" "$$text"; done

env: $(VENV)/installed ## make the environment in .venv, if there is none

# The stamp is written last, so that an interrupted install is begun again.
$(VENV)/installed: requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $$($(PYTHON) --version) is what PYTHON=$(PYTHON) gives." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install --no-deps --editable .
	@$(BIN)/python -c 'import matplotlib.font_manager' # lists the fonts, which can take a while the first time
	@touch $@

book: env ## build the site into _build/html
	@# A page with a warning is read again by the next build, which would else be silent and pass.
	$(BIN)/jupyter-book build . -W -n --keep-going --quiet || { rm -rf _build/.doctrees; exit 1; }
	@echo
	@echo "The book is built. Open $$PWD/_build/html/index.html in a browser,"
	@echo "or run 'make lab' to read and run it in JupyterLab."

pdf: book ## print the book into _build/book.pdf (needs Chromium or Chrome)
	$(BIN)/python -m website.pdf

test: book test-code test-notebooks ## run every test: of the code, the site and every notebook, with and without MNIST
	@echo
	@echo "All tests passed. 'make lab' opens the chapters; 'make bench' measures the speed."

test-code: env
	$(PYTEST) -q -n 2 tests
	@echo "And again without MNIST:"
	$(WITHOUT_MNIST) $(PYTEST) -q -n 2 $(READ_MNIST)

test-package: env ## run the tests of nnkit and lab alone, as CI does on macOS and Windows
	$(PYTEST) -q -n 2 tests/nnkit tests/lab

test-notebooks: env
	$(NBVAL) book
	@echo "And again without MNIST, on the embedded digits:"
	$(WITHOUT_MNIST) $(NBVAL) $$(grep -l load_mnist $(CHAPTERS))

lint: env ## check style and types (ruff, mypy)
	$(BIN)/ruff check .
	@# A text file that is opened without its encoding has another one on Windows.
	$(BIN)/ruff check --preview --select PLW1514 --extend-exclude '*.ipynb' .
	$(BIN)/ruff format --check .
	$(BIN)/ruff format --check --line-length 84 $(CHAPTERS)
	$(BIN)/mypy

lab: env ## open the chapters in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=. book/part1-foundations/01-linear-regression.ipynb

notebooks: env ## run all chapters again, in place (or some: make notebooks ONLY="01 06")
	$(BIN)/python -m tools.execute $(ONLY)
	@echo "Look at what changed with 'git diff --stat', then run 'make test'."

experiments: env ## repeat the full-scale runs behind the results (or one: make experiments ONLY=xor_seeds)
	@for name in $(or $(ONLY),$(filter-out __init__,$(basename $(notdir $(wildcard book/experiments/*.py))))); do \
	  $(BIN)/python -m book.experiments.$$name; done
	@echo "The results are in book/results. Run 'make notebooks' to bring the chapters up to date."

replicate: env ## every result from zero, then the chapters and their tests; says how long first (only that: PLAN=1)
	$(BIN)/python -m tools.rerun $(if $(PLAN),--plan) $(ONLY)

bench: env ## measure nnkit beside PyTorch, scikit-learn and the bare matrix products (or some: make bench ONLY="fig5 fig7")
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

clean: ## remove the site and the environment
	rm -rf _build $(VENV)
