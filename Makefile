# The two commands a newcomer needs: `make demo` and `make test`.
PYTHON ?= python3
# A build of torch without CUDA is enough; override for a GPU: make demo TORCH='torch>=2.6'
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
U := $(BIN)/unsquash

.PHONY: demo test check lint types layers tests docs bench clean

demo: $(VENV)/.installed
	@mkdir -p demo
	$(BIN)/python examples/song.py demo/original.wav
	@echo; echo "== A known compressor (published profile C), inverted exactly"
	$(U) squash demo/original.wav demo/compressed.wav --profile five/C --bit-depth 24 --level keep --overwrite
	$(U) restore demo/compressed.wav demo/decompressed.wav --profile five/C --overwrite
	@echo "-- before:"; $(U) compare demo/original.wav demo/compressed.wav
	@echo "-- after:"; $(U) compare demo/original.wav demo/decompressed.wav
	@echo; echo "== An unknown limiter, undone by the network"
	$(U) squash demo/original.wav demo/limited.wav --drive 10 --limit -1 --overwrite
	$(U) restore demo/limited.wav demo/delimited.wav --method neural --overwrite
	@echo "-- before:"; $(U) compare demo/original.wav demo/limited.wav
	@echo "-- after:"; $(U) compare demo/original.wav demo/delimited.wav
	@echo; echo "Listen: demo/original.wav demo/limited.wav demo/delimited.wav"

test: $(VENV)/.installed-dev check

check: lint types layers tests

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types:
	$(BIN)/mypy

layers:
	$(BIN)/lint-imports

tests:
	$(BIN)/pytest -n 2 --dist loadfile

docs: $(VENV)/.installed-dev
	$(BIN)/python docs/generate.py

bench: $(VENV)/.installed-dev
	$(BIN)/pip install --quiet -e '.[bench]'
	$(BIN)/python benchmarks/inverse.py
	$(BIN)/python benchmarks/startup.py

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "unsquash needs Python 3.11 or newer; make demo PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet $(TORCH)
	@touch $@

$(VENV)/.installed: $(VENV)/.python pyproject.toml
	$(BIN)/pip install --quiet -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.python pyproject.toml
	$(BIN)/pip install --quiet -e '.[dev]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
