# Two commands do all set-up on a bare machine with Python 3.11 or newer: `make run` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
export OMNIBUS_PYTHON := $(PYTHON)

.PHONY: help run demo test check docs bench bench-peers chaos demo-kafka mail-corpus clean servers
help:            ## what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run            ## install into .venv, then start Omnibus (Ctrl-C stops it)
	@exec $(BIN)/omnibus up

demo: $(VENV)/.run           ## send about 300 conversations through the front doors and show what became of them
	@exec $(BIN)/omnibus demo

test: $(VENV)/.test servers  ## everything `make run` needs, the servers the tests need, then all tests
	$(BIN)/pytest -q -n 2

check: $(VENV)/.test         ## format, lint, types, generated pages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy omnibus connectors normalizer router sinks tests bench docs/generate.py
	$(BIN)/python docs/generate.py --check

docs: $(VENV)/.test          ## write the generated reference pages
	$(BIN)/python docs/generate.py

bench: $(VENV)/.test         ## measure; a table for people, JSON in artifacts/bench.json
	$(BIN)/python -m bench

chaos: $(VENV)/.test servers ## kill -9 and SIGSTOP for a minute each, on both buses, with oracles that are tested, too
	OMNIBUS_CHAOS_SECONDS=60 OMNIBUS_CHAOS_FAULTS=200 $(BIN)/pytest -s -p no:randomly --timeout 900 tests/chaos
	# By themselves: pytest drops files it would not collect when their folder is named beside them.
	OMNIBUS_CHAOS_SECONDS=60 $(BIN)/pytest -s -p no:randomly --timeout 900 \
	  tests/chaos/kafka/mutations_kafka.py tests/chaos/kafka/brokers_kafka.py

demo-kafka: $(VENV)/.test    ## the demo on three brokers with two workers of each stage: the same table as on the embedded bus
	$(BIN)/pytest -s -n0 -p no:randomly --timeout 1200 tests/chaos/kafka/demo_kafka.py

bench-peers: $(VENV)/.test $(VENV)-peers/.done ## the same job on other stream libraries beside ours; JSON in artifacts/bench-peers.json
	$(BIN)/python -m bench.peers $(VENV)-peers/bin/python

mail-corpus: $(VENV)/.test   ## judge the mail parser over a folder of mails: make mail-corpus MAIL_CORPUS=DIR
	@test -n "$(MAIL_CORPUS)" || { echo "name the folder: make mail-corpus MAIL_CORPUS=DIR" >&2; exit 2; }
	$(BIN)/python -m connectors.email.corpus $(MAIL_CORPUS)

servers:                     # the servers the tests need (a browser)
	@scripts/test-servers

$(VENV)/.run: pyproject.toml scripts/venv
	@scripts/venv $(VENV) '.[holidays,imap,jwt]'
	@touch $@

$(VENV)/.test: pyproject.toml scripts/venv
	@scripts/venv $(VENV) '.[dev]'
	@touch $@ $(VENV)/.run

$(VENV)-peers/.done: pyproject.toml scripts/venv
	@scripts/venv $(VENV)-peers '.[bench-peers]'
	@touch $@

clean:           ## remove the virtual environment and everything built
	rm -rf $(VENV) $(VENV)-peers build *.egg-info .mypy_cache .ruff_cache .pytest_cache artifacts
