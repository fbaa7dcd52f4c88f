# make quickstart   a virtual environment, a small real model, a short online training, its plot, an answer before and after
# make test         linters, formatter and tests, in the same environment
# make test-fast    the core alone (sequences, rendering, training, invariants), for the edit loop
# make docs         the site, in site/; `.venv/bin/mkdocs serve` shows it while it is written
# make slow         the tests that take longer, and many more examples of every property
# make coverage     what the tests run of the package; pages in out/coverage/html
# make mutation     whether the tests notice changes of the masks, the losses and the statistics
# make test-lowest  the tests with the oldest releases that pyproject.toml allows, in .venv-lowest; test-newest: with the newest
# make package      the sdist and the wheel, in dist/

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= recipes/constraints-torch.txt
MODEL ?= models/smollm2-135m-instruct
OUTPUT ?= out/smollm2-135m-online

START := $(shell date +%s)
DONE = @echo "   done after $$(( $$(date +%s) - $(START) )) s"

# Processes that tests share: one for each core that may be used, at about 1.5 GB
JOBS ?= $(shell nproc)
PYTEST = $(VENV)/bin/python -m pytest -n $(JOBS) --maxprocesses 8 --dist worksteal

.PHONY: quickstart test test-fast docs slow coverage mutation test-lowest test-newest package

quickstart: $(VENV)/installed-recipes
	@$(VENV)/bin/reflection-trl quickstart --model $(MODEL) --output_dir $(OUTPUT)

SPELLED = reflection_trl recipes docs metrics dataset_cards $(wildcard *.md *.toml *.yml)

test: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-cache
	$(VENV)/bin/codespell $(SPELLED)
	$(VENV)/bin/mypy
	$(PYTEST) $(PYTEST_ARGS)

CORE = tests/test_sequences.py tests/test_row_forms.py tests/test_fences.py tests/rendering \
    $(patsubst %,tests/training/test_%.py,masking packing losses dataset trainer) tests/invariants

test-fast: $(VENV)/installed-test
	$(PYTEST) -m "not slow and not heavy" --hypothesis-profile fast --timeout 60 $(CORE) $(PYTEST_ARGS)

docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict
	@echo "The site is in site/. To read and search it, run $(VENV)/bin/mkdocs serve."

slow: $(VENV)/installed-test
	$(PYTEST) -m "slow and not gpu" --timeout 3600 $(PYTEST_ARGS)
	$(PYTEST) -m "hypothesis and not slow" --hypothesis-profile thorough --timeout 3600 $(PYTEST_ARGS)

coverage: $(VENV)/installed-test
	$(PYTEST) --cov --cov-report=term --cov-report=html --cov-report=xml $(PYTEST_ARGS)

# Goes on where it was interrupted; `mutmut show NAME` shows a change, `mutmut browse` all of them
mutation: $(VENV)/installed-mutation
	$(VENV)/bin/mutmut run --max-children $(JOBS)
	$(VENV)/bin/mutmut results

# uv resolves, since pip knows the newest releases only. UV_TORCH_BACKEND=cpu takes torch without CUDA libraries
RESOLUTION_lowest = lowest-direct
RESOLUTION_newest = highest

test-lowest test-newest: VENV = .venv-$(@:test-%=%)
test-lowest test-newest: test-%: .venv-%/installed
	$(PYTEST) $(PYTEST_ARGS)

.venv-%/installed: pyproject.toml
	@echo "== installing the package and its tests' requirements, the $* releases, into $(@D)"
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install -q uv
	@$(@D)/bin/uv pip install --python $(@D) --resolution $(RESOLUTION_$*) -e ".[test]"
	@touch $@
	$(DONE)

package: $(VENV)/installed-release
	rm -rf dist
	$(VENV)/bin/python -m build
	$(VENV)/bin/twine check --strict dist/*

# The package with one of its extras, again whenever its requirements change
$(VENV)/installed-%: pyproject.toml
	@echo "== installing the package with its extra '$*' into $(VENV)"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) -e ".[$*]"
	@touch $@
	$(DONE)
