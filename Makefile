# make chat | test | lint | bench, with ARGS="..." for their options, PYTHON=... for the Python to install with.
# The first run installs into .venv (llamachat/build/checkout.py says how); the next ones find its stamps and start at once.

BIN := .venv/bin
STAMPS := .venv/.llamachat
PYTHON ?=
ARGS ?=

PYTHONS := $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python)
SOURCES := pyproject.toml $(wildcard llamachat/build/*.py)
# What no time stamp shows: a .venv whose Python has gone, and CMAKE_ARGS that may be new.
STALE := $(if $(CMAKE_ARGS),stale)$(shell test -x $(BIN)/python || echo stale)

.PHONY: help chat test lint bench stale
.SUFFIXES:

help:
	@echo 'make chat    talk to a model:  make chat ARGS="--temperature 0"  ·  echo "Why?" | make -s chat'
	@echo 'make test    run the tests:    make test ARGS="-k format"'
	@echo 'make lint    ruff, and mypy --strict'
	@echo 'make bench   measure this machine'

chat: $(STAMPS)/chat
	@$(BIN)/python -m llamachat $(ARGS)

test: $(STAMPS)/dev
	@$(BIN)/python -m pytest $(ARGS)

lint: $(STAMPS)/dev
	@failed=0; for check in 'ruff check .' 'ruff format --check .' mypy; do \
	  $(BIN)/python -m $$check || failed=1; \
	done; exit $$failed

bench: $(STAMPS)/dev
	@$(BIN)/python -m benchmarks $(ARGS)

$(STAMPS)/chat: $(SOURCES) $(filter stale,$(STALE))
	@$(call install,)

$(STAMPS)/dev: $(SOURCES) $(filter stale,$(STALE))
	@$(call install,--dev)

# Into stderr and from nowhere: stdin and stdout belong to the chat.
define install
for python in $(PYTHONS); do \
  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1; then \
    exec $$python -m llamachat.build --install $(1) --again 'make $(MAKECMDGOALS)' </dev/null >&2; \
  fi; \
done; \
echo 'llamachat needs Python 3.11 or newer; tried: $(PYTHONS). Name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3' >&2; \
exit 1
endef
