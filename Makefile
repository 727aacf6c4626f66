# Neural Networks from Scratch, Measured. `make` or `make help` lists the targets.
# README.md lists the main commands for systems without make; a test compares the two.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Use this environment's kernel, not one of the same name installed elsewhere.
export JUPYTER_PREFER_ENV_PATH := 1
export PYDEVD_DISABLE_FILE_VALIDATION := 1
# Chapters run in their own folders, where a relative path would point elsewhere; "none" is not a path.
ifneq ($(filter-out /% ~% none,$(firstword $(NNKIT_DATA))),)
export NNKIT_DATA := $(CURDIR)/$(NNKIT_DATA)
endif
# One BLAS thread per process: with matrices this small, synchronizing threads costs more than it saves.
export OPENBLAS_NUM_THREADS := 1
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
# This environment's fonts and style: a font cache from another installation would change the figures.
export MPLCONFIGDIR := $(CURDIR)/$(VENV)/matplotlib

# Silence pip's output, except for errors.
export PIP_QUIET := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

CHAPTERS := $(wildcard book/part*/*.ipynb book/appendix/*.ipynb)
PYTEST := $(BIN)/python -m pytest
NBVAL := --nbval --nbval-current-env --nbval-cell-timeout 120
CHAPTER = $(foreach word,$(ONLY),$(or $(wildcard book/part*/*$(word)*.ipynb book/appendix/*$(word)*.ipynb),$(error no chapter is called $(word))))
# The tests of chapters that read them, and run nothing.
READING := $(patsubst %,tests/%.py,book/test_chapters book/test_notebooks book/test_prose test_layout)

# Every target writes here. Fail early instead of halfway through with a traceback.
UNWRITABLE := $(shell for folder in "$$PWD" "$$PWD/_build"; do \
  [ ! -e "$$folder" -o -w "$$folder" ] || { echo "$$folder"; break; }; done)
ifneq ($(and $(UNWRITABLE),$(filter-out help,$(MAKECMDGOALS))),)
$(error $(UNWRITABLE) cannot be written: copy the checkout, without .venv and _build, to a folder of your own and \
  run make there)
endif

# The parts of a test read what the one before has built, and each keeps two processes busy to its end.
.NOTPARALLEL:

.PHONY: help env book pdf test quick planted test-code test-package test-notebooks lint lab notebooks experiments replicate bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1|\2/' | \
	  while IFS='|' read -r name text; do printf '  %-18s %s\n' "$$name" "$$text"; done

env: $(VENV)/installed ## create the environment in .venv if it does not exist

# The stamp is written last, so that an interrupted installation starts over.
$(VENV)/installed: requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $$($(PYTHON) --version) is what PYTHON=$(PYTHON) gives." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install --no-deps --editable .
	@$(BIN)/python -c 'import matplotlib.font_manager' # builds the font cache, which can take a while
	@touch $@

book: env ## build the site into _build/html
	@# Discard the cache after a warning; otherwise the next build would skip that page and pass.
	$(BIN)/jupyter-book build . -W -n --keep-going --quiet || { rm -rf _build/.doctrees; exit 1; }
	@echo
	@echo "The book is built. Open $$PWD/_build/html/index.html in a browser,"
	@echo "or run 'make lab' to read and run it in JupyterLab."

pdf: book ## print the book into _build/html/book.pdf, which the site then links (needs Chromium or Chrome)
	$(BIN)/python -m website.pdf

test: book test-code test-notebooks ## run every test: of the code, the site and every notebook, with and without MNIST
	@echo
	@echo "All tests passed. 'make lab' opens the chapters; 'make bench' measures the speed."

# For a change to a layer or a chapter: what breaks most often, in a minute and a half.
quick: env ## lint, and the fast tests of nnkit and of the chapters (and run a chapter: make quick ONLY=05)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST) -q -n 2 -m "not slow" tests/nnkit $(READING) $(if $(ONLY),$(NBVAL) $(CHAPTER))

test-code: env
	$(PYTEST) -q -n 2 tests

planted: env ## plant each bug of tests/planted_bugs.toml in a copy, and see whether the tests catch it
	$(BIN)/python -m tests.planted_bugs

test-package: env ## run the tests of nnkit and lab alone, as CI does on macOS and Windows
	$(PYTEST) -q -n 2 tests/nnkit tests/lab

test-notebooks: env
	$(PYTEST) -q -n 2 $(NBVAL) -W default book

lint: env ## check style and types (ruff, mypy)
	$(BIN)/ruff check .
	@# Text files opened without an encoding use a different one on Windows.
	$(BIN)/ruff check --preview --select PLW1514 --extend-exclude '*.ipynb' .
	$(BIN)/ruff format --check .
	$(BIN)/ruff format --check --line-length 84 $(CHAPTERS)
	$(BIN)/mypy

lab: env ## open the chapters in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=. book/part1-foundations/01-linear-regression.ipynb

notebooks: env ## rerun all chapters in place (or some: make notebooks ONLY="01 06")
	$(BIN)/python -m tools.execute $(ONLY)
	@echo "Look at what changed with 'git diff --stat', then run 'make test'."

experiments: env ## run the full-scale experiments behind the results (or one: make experiments ONLY=xor_seeds)
	@for name in $(or $(ONLY),$(filter-out __init__,$(basename $(notdir $(wildcard book/experiments/*.py))))); do \
	  $(BIN)/python -m book.experiments.$$name; done
	@echo "The results are in book/results. Run 'make notebooks' to bring the chapters up to date."

replicate: env ## repeat every result from scratch, then the chapters and their tests (PLAN=1 only estimates the time)
	$(BIN)/python -m tools.rerun $(if $(PLAN),--plan) $(ONLY)

bench: env ## compare the speed of nnkit, PyTorch and scikit-learn (or some parts: make bench ONLY="fig5 fig7")
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

clean: ## remove the site and the environment
	rm -rf _build $(VENV)
