# `make help` lists what can be done. Everything is installed into .venv in this folder, and nothing outside it.
SHELL := /bin/bash
PYTHON ?= python3
CONFIG ?= config/config.yaml
RUN =
FIG =
A =
B =
TORCH_FROM =
MODULE = statistics engine networks training studies
INSTALLED := .venv/installed
# What a run needs is the smaller part, unless everything is there already; INSTALLED= says that nothing is to be installed.
READY = $(if $(INSTALLED),$(if $(wildcard $(INSTALLED)),$(INSTALLED),.venv/ready))
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# What a call is given, and what files say, is data. make does not expand it, and a shell sees it in variables only; no
# config gets to Snakemake, which can run code in one, before our own reader has taken it.
$(foreach name,CONFIG RUN FIG A B MODULE TORCH_FROM,$(eval override $(name) := $$(value $(name))))
export CONFIG RUN FIG A B MODULE TORCH_FROM
READ = run=$$(python scripts/check_call.py --config="$$CONFIG" $(if $(filter figure,$@),--figure="$$FIG"))
# Whatever a call of make runs, it says how far it is; scripts/ holds the plugin of Snakemake that does.
RUNNING = PYTHONPATH="$(CURDIR)/scripts$${PYTHONPATH:+:$$PYTHONPATH}" snakemake --logger=unravel
NAME = run=$$(python scripts/check_call.py --config="$$CONFIG" --run="$$RUN")

.DEFAULT_GOAL := help
.PHONY: help plan prefetch report figure seal reference status verify diff index test mutants campaign everything lint format clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | column -t -s '|'

plan: $(READY)  ## estimate jobs, hours and disk of a run: CONFIG=config/cifar10.yaml
	@python scripts/plan.py --config="$$CONFIG"

prefetch: $(READY)  ## download what a run needs, before it runs on machines without a network
	@set -e; $(READ); snakemake prefetch --cores 1 --configfile="$$CONFIG"

report: $(READY)  ## run the pipeline (the demo run, or CONFIG=config/cifar10.yaml) and write its report
	@set -e; $(READ); $(RUNNING) --cores all --configfile="$$CONFIG"; echo "The report: results/$$run/report.html"

figure: $(READY)  ## make one figure: FIG=3, FIG=training or FIG=classes
	@set -e; $(READ); $(RUNNING) "figure_$$FIG" --cores all --configfile="$$CONFIG"

seal: $(READY)  ## verify a finished run and seal it: what its report rests on is not made again: RUN=demo
	@set -e; $(NAME); python scripts/seal.py --run "results/$$run"

reference: $(READY)  ## rebuild figures, claims and report of a sealed run from its measurements: RUN=cifar10-quarter
	@set -e; $(NAME); CONFIG="results/$$run/config.yaml"; $(READ); \
	test -e "results/$$run/seal.json" || { echo "error: results/$$run: is not sealed; run make seal RUN=$$run first" >&2; exit 1; }; \
	$(RUNNING) --cores all --configfile="$$CONFIG" --forceall; \
	echo "The report: results/$$run/report.html"

status: $(READY)  ## say which figures are fresh, which are not and why; runs nothing
	@python scripts/status.py --config="$$CONFIG"

verify: $(READY)  ## check a run's files by their SHA-256, its claims, provenance, RO-Crate, science and seal
	@set -e; $(NAME); python scripts/verify.py --run "results/$$run"

diff: $(READY)  ## compare two runs: A=results/demo B=results/cifar10
	@python scripts/compare_runs.py --into results -- "$$A" "$$B"

index: $(READY)  ## write one page on all finished runs, their verdicts side by side
	@python scripts/write_index.py --results results --output results/index.html
	@echo "All runs: results/index.html"

test: lint  ## check everything: format, lint, types, unit tests, and the whole pipeline on a tiny run
	pytest --numprocesses auto --dist worksteal

mutants: $(INSTALLED)  ## list changes of the code that no test notices, which takes hours: MODULE=statistics, of each only SAMPLE=60
	@for module in $$MODULE; do bash tests/mutants.sh "$$module" || exit; done

campaign: $(INSTALLED)  ## damage a run's files 1,000 times, kill 100 trainings, spoil 500 configs, then 5,000 of each kind by Hypothesis: hours
	PYTHONPATH=scripts:tests python tests/campaign/faults.py
	pytest --hypothesis-profile=campaign tests/config/test_fuzz.py tests/data/test_arrays_fuzz.py

everything: $(INSTALLED)  ## install also what tests, ImageNet and networks by name need

lint: $(INSTALLED)  ## check format, lint and types
	ruff format --check --quiet
	ruff check --quiet
	mypy
	snakefmt --check workflow
	snakemake --lint

format: $(INSTALLED)  ## format the code
	ruff check --fix --quiet
	ruff format --quiet
	snakefmt workflow

clean:  ## delete the environment and all caches; runs stay in results/ until you delete their folders
	rm -rf .venv .snakemake .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# uv installs in seconds what takes pip minutes; where it cannot be had, pip does.
define ENVIRONMENT
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: python3 is too old; name a Python >= 3.11, as in: make PYTHON=python3.12 report")'
@test -x .venv/bin/python || $(PYTHON) -m venv .venv
@command -v uv > /dev/null || python -m pip install --quiet --disable-pip-version-check uv || true
endef
INSTALL = if command -v uv > /dev/null; \
	then uv pip install --quiet --python .venv/bin/python --require-hashes -r $(1); \
	else python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1); fi

.venv/installed: requirements.lock
	$(ENVIRONMENT)
	@$(call INSTALL,$<)
	@touch $@

# Without a GPU, torch's build for CPUs: PyPI has none, so it is taken if pip's settings, or TORCH_FROM, know where one is.
TORCH = torch==$(shell sed -n 's/^torch==\([0-9.]*\).*/\1/p' requirements-run.lock)+cpu
.venv/ready: requirements-run.lock requirements-cpu.lock
	$(ENVIRONMENT)
	@if ! command -v nvidia-smi > /dev/null && python -m pip install --quiet --disable-pip-version-check --no-deps \
	$(if $(TORCH_FROM),--find-links "$$TORCH_FROM") "$(TORCH)" 2> /dev/null; \
	then $(call INSTALL,requirements-cpu.lock); \
	else echo "installing torch with CUDA, 2 GB to download: $$(command -v nvidia-smi || echo 'pip finds no $(TORCH)')"; \
	$(call INSTALL,requirements-run.lock); fi
	@touch $@
