# `make demo` and `make test` are all that most people need.
SHELL := /bin/sh
PYTHON := .venv/bin/python
PYTEST := .venv/bin/pytest
# Two workers, each with a file at a time, in the order of tests/conftest.py.
FILES := -n 2 --dist loadfile --no-loadscope-reorder
MATRIX := $(addprefix tests/e2e/test_,matrix.py refused_loaders.py routers.py)
DISKS := $(addprefix tests/e2e/test_,layouts.py roots.py disk_image.py disk_image_faults.py orders.py capture.py capture_mirror.py)
INSTALLERS := $(addprefix tests/e2e/test_,live.py installer.py wimboot.py fai.py)
ROOT := $(if $(filter 0,$(shell id -u)),,sudo -E)

.PHONY: help setup demo test test-fast test-deep check e2e-first e2e-matrix e2e-disks e2e-installers docs constraints

help: ## what there is
	@sed -n 's/^\([a-z0-9%-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

setup: ## install what is missing: packages, and the virtual environment
	@tools/setup

demo: setup ## watch one machine go from its power button to a healthy Debian (KEEP=1 leaves it running)
	@$(ROOT) .venv/bin/ironwake lab demo $(if $(KEEP),--keep)

# Virtual machines run two at a time: more would only wait for each other.
test: setup check ## everything, real boots included
	@$(ROOT) $(PYTEST) -m "not qemu and not docker and not deep and not matrix" -n 2 -q $(ARGS)
	@$(ROOT) $(PYTEST) -m "(qemu or docker) and not deep and not matrix" $(FILES) -v --durations=15 $(ARGS)

test-fast: setup ## what needs neither root nor virtual machines
	@$(PYTEST) -m "not root and not qemu and not docker and not deep" -n 2 -q $(ARGS)

test-deep: setup ## what is too long for every day
	@$(ROOT) $(PYTEST) -m deep $(FILES) -v --durations=15 $(ARGS)

e2e-first: setup ## the first machine: from power-on to healthy, and three more boots from its disk
	@$(ROOT) $(PYTEST) tests/e2e/test_first_machine.py $(ARGS)

e2e-matrix: setup ## every firmware, beside a foreign DHCP server and with ours (JSON=file keeps the lines)
	@$(ROOT) env $(if $(JSON),MATRIX_JSON=$(JSON)) $(PYTEST) $(MATRIX) -n 2 --dist loadgroup -q $(ARGS)

e2e-disks: setup ## layouts, roots and disk images on real machines, and what goes wrong there
	@$(ROOT) $(PYTEST) $(DISKS) -v $(ARGS)

e2e-installers: setup ## systems of other makers, installed or run by their own programs (WIMBOOT=file WIMBOOT_SHA256=its)
	@$(ROOT) env WIMBOOT=$(WIMBOOT) WIMBOOT_SHA256=$(WIMBOOT_SHA256) $(PYTEST) $(INSTALLERS) -v $(ARGS)

bench-%: setup ## one figure against its peer: dhcp, dhcp-lease, tftp, tftp-loss, http, render, dns, controller, storm, image, install
	@$(ROOT) $(PYTHON) -m ironwake_bench.$(subst -,_,$*) $(ARGS)

check: setup ## format, lint, types, import contracts
	@.venv/bin/ruff format --check -q . && .venv/bin/ruff check -q .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache

docs: setup ## make anew what docs/ has from the code: settings, lifecycle, firmware
	@$(PYTHON) -m ironwake_cli settings --markdown > docs/settings.md
	@$(PYTHON) -m ironwake_cli.lifecycle docs/next-boot.md
	@$(PYTHON) -m ironwake_cli.firmware docs/firmware.md

constraints: setup ## resolve constraints.txt anew
	@.venv/bin/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header \
		--python-version 3.11 --extra dev --upgrade pyproject.toml -o constraints.txt
