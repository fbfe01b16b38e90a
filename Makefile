# Each target sets itself up: it needs Python ≥ 3.11 and pip's registry, finds the one and installs from the other
# into .venv. PYTHON=/path/to/python3.12 names an interpreter, ARGS=… goes on to the command (make test ARGS="-k pause").
# Written for GNU make 3.81 (macOS) and later; paths stay relative, so that a checkout's own path may hold spaces.

.DEFAULT_GOAL := help
.PHONY: bench check clean demo dist fuzz help lint lock mutants rollout sandbox scale setup screenshots soak test

ARGS =
XCAPI_VENV ?= .venv
export XCAPI_VENV
bin = $(XCAPI_VENV)/bin

# Before the whole suite, not before some of it. What cannot be had is skipped there, with the reason.
rollout_tools = $(if $(ARGS),:,if command -v terraform >/dev/null; then $(bin)/python tools/rollout_tools.py >/dev/null || :; fi)

# The whole suite in several processes, since much of it waits; some of it (ARGS) in one, where -s and --pdb work.
side_by_side = $(if $(ARGS),,--numprocesses=4 --dist=loadfile --no-loadscope-reorder)

help:  ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/make \1|\2/p' Makefile | awk -F '|' '{ printf "%-17s %s\n", $$1, $$2 }'
	@echo
	@echo 'ARGS=… goes on to the command: make test ARGS="-k pause", make demo ARGS=--json'
	@echo 'PYTHON=… names the Python to set up with: make test PYTHON=/path/to/python3.12'

demo: setup  ## the whole path on this machine: sandbox X, the real function, events of every kind; ten seconds, once set up
	@$(bin)/xcapi demo $(ARGS)

sandbox: setup  ## the local X Conversions API alone, to try any client against
	@$(bin)/xcapi sandbox $(ARGS)

test: setup  ## the whole suite; the rollout's part where Terraform is on this machine
	@$(rollout_tools)
	@$(bin)/python -m pytest $(side_by_side) $(ARGS)

check: lint  ## format, lint, types, then the whole suite
	@$(rollout_tools)
	$(bin)/python -m pytest $(side_by_side) $(ARGS)

lint: setup  ## format, lint and types alone
	$(bin)/ruff format --check --quiet .
	$(bin)/ruff check --quiet .
	$(bin)/mypy
	@if [ -d terraform ] && command -v terraform >/dev/null; then terraform fmt -check -recursive terraform; fi

rollout: setup  ## Terraform alone: linters, scanner, its own tests, then a real apply on this machine
	@$(bin)/python tools/rollout_tools.py >/dev/null
	@XCAPI_REQUIRE_ALL=1 $(bin)/python -m pytest tests/rollout $(side_by_side) $(ARGS)

bench: setup  ## how fast it is, as ratios within one run: ten minutes (ARGS=--quick: two; ARGS=--help says more)
	@$(bin)/python -m tests.benchmarks $(ARGS)

soak: setup  ## 100,000 events, everything that can go wrong meanwhile, and an account that must balance
	@$(bin)/python -m tests.soak $(ARGS)

scale: setup  ## ten instances behind a balancer, 1,000 pixels of 200 ad accounts, half a million events: ten minutes
	@$(bin)/python -m tests.scale $(ARGS)

fuzz: setup  ## a million mutated inputs for each of five entry points (ARGS="events --inputs 20000"); --help says more
	@$(bin)/python -m tests.fuzz $(ARGS)

mutants: setup  ## small breaks in the pure core, and which of them no test sees (ARGS=x_api.pause for one module)
	@$(bin)/python -m tests.mutants $(ARGS)

screenshots: setup  ## the console's pictures in docs/img, of a real session in Chromium
	@$(bin)/python -m tests.sandbox.console.screenshots

dist:  ## a release: dist/x-conversions-VERSION.zip of this commit, the same bytes on any machine
	@sh tools/python.sh tools/dist.py $(ARGS)

setup:  ## .venv alone; every target above does this by itself
	@sh tools/python.sh tools/bootstrap.py

lock:  ## requirements*.txt anew from requirements.in and pyproject.toml (ARGS=--upgrade for the newest of everything)
	@sh tools/python.sh tools/lock.py $(ARGS)

clean:  ## remove .venv and everything else that was made here
	@rm -rf .venv* .cache build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks .coverage
	@find terraform -name .terraform -type d -prune -exec rm -rf {} +
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
