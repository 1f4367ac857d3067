# One command a job; each makes .venv first when it is missing. `make help` lists them.
SIZE ?= nano
DATA ?=
TASK ?= noise
STANDIN ?=
TOKENIZER ?= runs/tokenizer/$(SIZE)/weights
WEIGHTS ?= small
IN ?=
OUT ?= restored
INSTRUCTION ?=
STEPS ?= 1000
LPIPS ?=
ARGS ?=
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))
PYTHON ?= $(shell for p in python3.12 python3.11 python3; do $$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)

VENV := .venv
DEFUSION := $(VENV)/bin/defusion
FIT := $(DEFUSION) train fit --config experiments/base.yaml
SOURCE := $(if $(DATA),--data.data "$(DATA)")
STUDY := --steps $(STEPS) $(if $(DATA),--data "$(DATA)") $(if $(LPIPS),--lpips "$(LPIPS)")
export NO_ALBUMENTATIONS_UPDATE = 1

.NOTPARALLEL:
.PHONY: help setup demo train-tokenizer train-diffusion train-describer pretrained ablation peers eval restore tensorboard test test-all lint bench clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18
	@echo "Variables: SIZE=nano|small|paper DATA= TASK= STANDIN= TOKENIZER= WEIGHTS= IN= OUT= INSTRUCTION= STEPS= LPIPS= ARGS="

setup: $(VENV)/.done  ## make .venv from pyproject.toml

$(VENV)/.done: pyproject.toml
	@test -n "$(PYTHON)" || { echo 'need Python 3.11 or 3.12: install one, or give PYTHON=/path/to/python'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: setup  ## train both stages small, measure and show them: demo/gallery.png, demo/results.json
	$(MAKE) train-tokenizer train-diffusion SIZE=nano
	$(DEFUSION) demo --weights runs/diffusion/nano/weights --out demo

train-tokenizer: setup  ## train the degradation tokenizer (SIZE, DATA)
	$(FIT) --config experiments/tokenizer/$(SIZE).yaml $(SOURCE) $(ARGS)

train-diffusion: setup  ## train the degradation diffusion (SIZE, DATA, TOKENIZER)
	$(FIT) --config experiments/diffusion/$(SIZE).yaml --model.tokenizer $(TOKENIZER) $(SOURCE) $(ARGS)

train-describer: setup  ## train what reads a picture and says what is wrong with it (SIZE, DATA, TOKENIZER)
	$(FIT) --config experiments/describer/$(SIZE).yaml --model.tokenizer $(TOKENIZER) $(SOURCE) $(ARGS)

eval: setup  ## restore and score a test set, a group or a degradation (TASK, DATA, STANDIN, WEIGHTS)
	$(DEFUSION) eval --task "$(TASK)" $(if $(DATA),--data "$(DATA)") $(if $(STANDIN),--standin) --weights $(WEIGHTS) $(ARGS)

restore: setup  ## restore pictures (IN, OUT, INSTRUCTION, WEIGHTS)
	@test -n "$(IN)" || { echo 'need pictures or folders: make restore IN=photo.jpg INSTRUCTION=rain'; exit 1; }
	$(DEFUSION) restore $(IN) --out "$(OUT)" $(if $(INSTRUCTION),--instruction "$(INSTRUCTION)") --weights $(WEIGHTS) $(ARGS)

pretrained: setup  ## train the shipped model anew, hours on two CPU cores, into runs/pretrained/weights (DATA, LPIPS)
	$(DEFUSION) pretrain $(if $(DATA),--data "$(DATA)") $(if $(LPIPS),--lpips "$(LPIPS)") $(ARGS)

ablation: setup  ## train and measure the method and its variants; RESULTS.md below runs/ablation (DATA, STEPS, LPIPS)
	$(DEFUSION) ablation $(STUDY) $(ARGS)

peers: setup  ## the same beside published networks in equal time (DATA, STEPS, LPIPS)
	$(DEFUSION) peers $(STUDY) $(ARGS)

tensorboard: setup  ## watch the trainings in a browser
	$(VENV)/bin/tensorboard --logdir runs $(ARGS)

test: setup  ## the fast tests
	$(VENV)/bin/python -m pytest -m "not slow" $(ARGS)

test-all: setup  ## all tests
	$(VENV)/bin/python -m pytest $(ARGS)

lint: setup  ## ruff, mypy, import-linter, pip check
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/python -m pip check --disable-pip-version-check

bench: setup  ## time a training step by its parts (DATA)
	$(DEFUSION) bench $(if $(DATA),--data "$(DATA)") $(ARGS)

clean:  ## remove .venv, caches, runs/ and demo/
	rm -rf $(VENV) build runs demo src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
