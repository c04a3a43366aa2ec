# Everything a newcomer or CI runs. Each target sets up what it needs, once.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVING := $(VENV)/.serving
INSTALLED := $(VENV)/.installed
TRIED := .[formats,metadata,report,synthesis]
ARGS ?=

.PHONY: help install demo serve test soak check format client drawing docs constraints clean

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

define ENVIRONMENT
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
  { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) || \
  { echo "a virtual environment could not be made (Debian: apt install python3-venv)"; exit 1; }
$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
endef
UV_INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable

# Whoever tries it: what serves, and the small extras that the README shows. uv knows where PyTorch keeps
# its builds and takes the one for the GPU that is here, and that for CPUs where there is none. Where that
# fails, and nobody has said which build, the default index may have one; what went wrong is told if it has not.
$(SERVING): pyproject.toml constraints.txt
	$(ENVIRONMENT)
	@if [ -n "$$UV_TORCH_BACKEND" ]; then $(UV_INSTALL) '$(TRIED)'; exit; fi; \
	  UV_TORCH_BACKEND=auto $(UV_INSTALL) '$(TRIED)' 2>$(VENV)/first.log || \
	  { echo "not installed from PyTorch's own index: trying the default one, whose build for Linux carries CUDA"; \
	    $(UV_INSTALL) '$(TRIED)' || { echo "before that:"; cat $(VENV)/first.log; exit 1; }; }
	@touch $@

install: $(INSTALLED)  ## Create .venv and install everything, pinned

$(INSTALLED): pyproject.toml constraints.txt
	$(ENVIRONMENT)
	$(UV_INSTALL) '.[dev]'
	@touch $(SERVING) $@

demo: $(SERVING)  ## Real photographs, synthetic images of them, answers over HTTP
	$(BIN)/attribution demo $(ARGS)

serve: $(SERVING)  ## The service on http://127.0.0.1:8000
	$(BIN)/attribution serve $(ARGS)

# A third of the tests' time is waiting, hence more workers than cores. What one process compiles, the
# others read, whatever the environment says.
WORKERS = $(shell $(PYTHON) -c 'import os; print(min(6, 3 * os.cpu_count() // 2))')

test: $(INSTALLED)  ## The whole test suite
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

soak: $(INSTALLED)  ## Faults for hours; ARGS="--kills 50 --minutes 5 --seed 1" for less
	$(BIN)/python -m pytest tests/soak $(ARGS)

check: $(INSTALLED)  ## Formatting, lint, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)  ## Format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

client: $(INSTALLED)  ## Write attribution_client from the description of the API
	$(BIN)/python docs/client.py

drawing: $(INSTALLED)  ## Draw docs/architecture.md from the imports
	$(BIN)/python docs/drawing.py

docs: $(SERVING)  ## The documents as a site, in site/; a broken link fails
	$(UV_INSTALL) '.[docs]'
	$(BIN)/zensical build --clean --strict

constraints: $(INSTALLED)  ## Pin the newest versions that work together
	$(BIN)/uv pip compile --quiet --upgrade --universal --no-header --no-annotate --no-emit-index-url \
	  --no-emit-find-links --all-extras --python-version 3.11 pyproject.toml -o constraints.txt

clean:  ## Remove what was installed and generated
	rm -rf $(VENV) demo site .cache *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
