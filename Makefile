# Each target sets up what it needs in .venv. A stamp there says what is done; it ages when what it depends on changes.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
HOST ?= 127.0.0.1
PORT ?= 8080
# ggml.cmake makes attention faster; the header mends what old GCCs do wrong on CPUs with AMX; see there. core/llama has
# a use for ggml's own threads, and none for OpenMP's.
export CMAKE_ARGS ?= -DLLAVA_BUILD=OFF -DGGML_OPENMP=OFF \
	-DCMAKE_PROJECT_ggml_INCLUDE='$(CURDIR)/scripts/ggml.cmake' -DCMAKE_CXX_FLAGS="-include '$(CURDIR)/scripts/gcc_amx.h'"

VENV := .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --constraint constraints.txt $(if $(WHEELS),--find-links $(WHEELS))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help run test test-all bench lint clean

define pull_models
@$(BIN)/warmfn pull smollm2-135m-instruct --models models
@$(BIN)/warmfn pull all-minilm-l6-v2 --models models
@$(BIN)/warmfn optimize smollm2-135m-instruct-fast --models models
endef

help:
	@echo 'make run       install, fetch the two default models, make the faster form of one, serve them on http://$(HOST):$(PORT)/v1'
	@echo 'make test      install, then lint, types and tests: everything that CI runs'
	@echo 'make test-all  the same and the long tests'
	@echo 'make lint      lint and types only'
	@echo 'make bench     measure the default chat model beside other servers'
	@echo 'make clean     remove .venv and caches; the models stay'
	@echo
	@echo 'The first time, llama.cpp is compiled: about 10 minutes on 2 cores. Settings, as in `make run PORT=9000`:'
	@echo '  HOST, PORT         where to serve'
	@echo '  PYTHON             the Python to make .venv with, 3.11 or newer'
	@echo '  TORCH_INDEX=URL    one more package index, for torch: that of its CPU wheels spares gigabytes of CUDA'
	@echo '  WHEELS=DIR         a folder of ready wheels, so that llama.cpp need not be compiled'
	@echo '  CMAKE_ARGS         how llama.cpp is compiled, instead of for this machine'
	@echo '  WARMFN_TEST_MODELS, WARMFN_TEST_WHEELS'
	@echo '                     where tests keep models and the wheel of the images (default: warmfn/ in the user'\''s cache)'

run: $(VENV)/.installed-embeddings
	$(pull_models)
	@exec $(BIN)/warmfn serve --models models --host $(HOST) --port $(PORT)

test: lint
	@$(BIN)/pytest -m 'not extended'

test-all: lint
	@$(BIN)/pytest

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/.installed-bench,embeddings
	$(pull_models)
	@$(BIN)/warmfn bench run bench/scenarios/smollm2.yaml

clean:
	rm -rf $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache

# The stem is the list of extras.
$(VENV)/.installed-%: pyproject.toml constraints.txt $(VENV)/.installed-llama
	@echo 'Installing warmfn[$*] and its packages.'
	@$(INSTALL) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) --editable '.[$*]'
	@touch $@

# Without pip's cache: a wheel that lies there was compiled by somebody else, perhaps without the header above.
$(VENV)/.installed-llama: constraints.txt $(VENV)/.made
	@echo 'Installing llama.cpp. Without a ready wheel it is compiled: about 10 minutes on 2 cores.'
	@$(BIN)/python scripts/build_progress.py $(VENV)/llama-build.log $(INSTALL) --no-cache-dir --verbose llama-cpp-python
	@touch $@

$(VENV)/.made:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'warmfn needs Python 3.11 or newer; "$(PYTHON)" is not. Say: make PYTHON=/path/to/python3.11 ...' >&2; exit 1; }
	@echo 'Making $(VENV) with $(PYTHON).'
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@
