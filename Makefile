# Everything here works on a fresh machine with Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The build backend warns of every editable install whose folders are renamed: that is how this one is meant.
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint format clean

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	touch $@

# The base and the engine for machines without a GPU: no torch.
$(VENV)/.cpu: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) -e ".[cpu]"
	touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) -e ".[cpu,transformers,dev]"
	touch $(VENV)/.cpu $@

## Set up and run the main job: a real model on problems that it cannot have seen.
demo: $(VENV)/.cpu
	$(BIN)/harness run --model qwen2.5-coder-0.5b --bench fresh:level=1,size=16 --n 8 --max-tokens 256
	@echo
	@echo "The chains, grades and scores are in results/. The same command again samples nothing."

## Set up and run the tests.
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto

## Style, types and the rule on imports.
lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info
