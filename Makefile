# make setup     sets up .venv, as each of the others does first; a second call installs nothing again
# make lab       JupyterLab on the labs
# make compare   train and compare the methods
# make test      all checks
# make book      the labs that have been run, as pages in build/book; with FAST=1 for a few steps only

PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup lab compare test browser book pictures data pretrain record bench

setup: .venv/ready

lab: .venv/ready
	$(BIN)/jupyter lab labs

compare: .venv/ready
	$(BIN)/labkit compare

test: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests --ignore=tests/browser --numprocesses auto --maxprocesses 4 --dist loadfile
	LABKIT_RUNS=$$(mktemp -d) LABKIT_CACHE=$$(mktemp -d) PYTHONPATH=tests $(BIN)/python -m pytest -p quiet_labs --nbmake --nbmake-timeout=600 labs
	$(BIN)/python -m pytest tests/browser -rs

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "labkit needs Python 3.11 or later: make lab PYTHON=python3.12"; exit 1; }
	@echo "setting up .venv, some minutes ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

# The labs and panels in a real JupyterLab; without Chromium, make test skips them and make browser fails.
browser: .venv/ready
	LABKIT_BROWSER_TESTS=required $(BIN)/python -m pytest tests/browser -rs

book: .venv/ready
	$(BIN)/python docs/make_book.py $(if $(FAST),--fast)

# What made docs/panels and docs/diagrams; needs Chromium.
pictures: .venv/ready
	PYTHONPATH=tests/browser $(BIN)/python docs/take_pictures.py

# What made the files in data/; each is slow and none is needed to use the lab.

data: .venv/ready
	$(BIN)/python data/generate_dialogues.py

pretrain: .venv/ready
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[pretrain]'
	$(BIN)/python data/pretrain_nano.py
	$(BIN)/python data/model_card.py nano
	$(BIN)/python data/pretrain_nano.py --name nano-0.45m --width 48 --head-width 12
	$(BIN)/python data/model_card.py nano-0.45m
	$(BIN)/python data/pretrain_nano.py --name nano-1.6m --width 112 --head-width 28
	$(BIN)/python data/model_card.py nano-1.6m
	OMP_NUM_THREADS=1 $(BIN)/python data/pretrain_causal.py
	$(BIN)/python data/causal_card.py

record: .venv/ready
	$(BIN)/python data/record.py
	$(BIN)/python data/record_labs.py
	$(BIN)/python data/record_sweeps.py
	$(BIN)/python data/record_family.py
	$(BIN)/python data/record_quantized.py
	$(BIN)/python data/record_little_data.py
	$(BIN)/python data/record_sizes.py
	$(BIN)/python data/show_recorded.py

# Takes an hour or so. Less: make bench BENCH="--only training --rounds 1"
bench: .venv/ready
	$(BIN)/python benchmarks/report.py $(BENCH)
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/table.py
