# `make help` lists what can be done. Everything is installed into .venv in this folder, and nothing outside it.
SHELL := /bin/bash
PYTHON ?= python3
CONFIG ?= config/config.yaml
RUN = $(shell sed -n 's/^run: *//p' $(CONFIG))
INSTALLED := .venv/installed
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help plan prefetch report figure reference status verify diff index test mutants lint format clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | column -t -s '|'

plan: $(INSTALLED)  ## estimate jobs, hours and disk of a run: CONFIG=config/cifar10.yaml
	@python scripts/plan.py --config $(CONFIG)

prefetch: $(INSTALLED)  ## download what a run needs, before it runs on machines without a network
	snakemake prefetch --cores 1 --configfile $(CONFIG)

report: $(INSTALLED)  ## run the pipeline (the demo run, or CONFIG=config/cifar10.yaml) and write its report
	snakemake --cores all --configfile $(CONFIG)
	@echo "The report: results/$(RUN)/report.html"

figure: $(INSTALLED)  ## make one figure: FIG=3, FIG=training or FIG=classes
	snakemake figure_$(FIG) --cores all --configfile $(CONFIG)

# Only these rules may run, so that nothing is trained or measured. The overview of classes stays as it is: it shows training
# images, which a published run does not hold.
DRAWN = import sys; sys.path.insert(0, "scripts"); from unravel.studies import FIGURES; \
	print(*(f"figure_{figure.number}" for _, figure in FIGURES.values() if "manifest" not in figure.inputs))
REBUILT = all claims report provenance crate check $$(python -c '$(DRAWN)')

reference: $(INSTALLED)  ## rebuild figures, claims and report of a finished run from its measurements: RUN=demo
	snakemake --cores all --configfile results/$(RUN)/config.yaml --forceall --allowed-rules $(REBUILT)
	@echo "The report: results/$(RUN)/report.html"

status: $(INSTALLED)  ## say which figures are fresh, which are not and why; runs nothing
	@python scripts/status.py --config $(CONFIG)

verify: $(INSTALLED)  ## check a run's files by their SHA-256, its claims, provenance, RO-Crate and science
	@python scripts/verify.py --run results/$(RUN)

diff: $(INSTALLED)  ## compare two runs: A=results/demo B=results/cifar10
	@python scripts/compare_runs.py $(A) $(B) --output results/$(notdir $(A))-vs-$(notdir $(B)).html
	@echo "The comparison: results/$(notdir $(A))-vs-$(notdir $(B)).html"

index: $(INSTALLED)  ## write one page on all finished runs, their verdicts side by side
	@python scripts/write_index.py --results results --output results/index.html
	@echo "All runs: results/index.html"

test: lint  ## check everything: format, lint, types, unit tests, and the whole pipeline on a tiny run
	pytest --numprocesses auto --dist worksteal

MODULE = statistics engine networks training studies

mutants: $(INSTALLED)  ## list changes of the code that no test notices, which takes hours: MODULE=statistics
	@for module in $(MODULE); do bash tests/mutants.sh $$module || exit; done

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

clean:  ## delete the results made here, the environment and all caches
	git clean -dfqx results
	rm -rf .venv .snakemake .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# uv installs in seconds what takes pip minutes; where it cannot be had, pip does.
$(INSTALLED): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: python3 is too old; name a Python >= 3.11, as in: make PYTHON=python3.12 report")'
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@command -v uv > /dev/null || python -m pip install --quiet --disable-pip-version-check uv || true
	@if command -v uv > /dev/null; \
	then uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements.lock; \
	else python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock; fi
	@touch $@
