# Every target sets itself up: the first one creates .venv and installs raydet into it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The hooks of pre-commit call their tools by name.
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: install build ops ops-cuda test test-all test-chaos conformance lint types shape bench bench-platform bench-ops bench-data bench-eval bench-tune demo demo-trees demo-tune models clusters docs clean

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev,viz]'
	touch $(READY)

install: $(READY)

build: $(READY)
	$(BIN)/pip install --quiet build && $(BIN)/python -m build --wheel

# Rebuilds the kernels of an installed checkout after a change of their sources.
ops:
	$(PYTHON) ops/build_kernels.py

ops-cuda:
	$(PYTHON) ops/build_kernels.py --cuda --arch '8.0;9.0'

test: $(READY)
	$(BIN)/python -m pytest

test-all: $(READY)
	$(BIN)/python -m pytest -m ''
	$(BIN)/python tools/conformance.py --all

# Hurts runs in every way that one machine allows, and writes docs/numbers/chaos.csv. Needs about 15 minutes and two cores.
CHAOS = tests/chaos $(shell $(BIN)/python tests/chaos/elsewhere.py)
test-chaos: $(READY)
	$(BIN)/python -m pytest -m '' --record $(CHAOS)

# Compares with the packs of reference numbers where they are at hand; see tools/conformance.py.
conformance: $(READY)
	$(BIN)/python tools/conformance.py

lint: $(READY)
	$(BIN)/pre-commit run --all-files

types: $(READY)
	$(BIN)/mypy

shape: $(READY)
	$(BIN)/python tools/shape.py

bench: $(READY)
	$(BIN)/python -m tools.bench_step && $(BIN)/python tools/bench_engine.py --out docs/numbers/engine.csv

# Speed on Ray against a run without it, two workers, the start, uploads; on a machine that does nothing else.
bench-platform: $(READY)
	$(BIN)/python tools/bench_platform.py

bench-ops: $(READY)
	$(BIN)/python -m tools.bench_ops

bench-data: $(READY)
	$(BIN)/python tools/bench_data.py

# Compares with ultrafast-pycocotools, hotcoco and faster-coco-eval where they are installed.
bench-eval: $(READY)
	$(BIN)/python tools/bench_eval.py

# What sweeps cost beside their trainings, and how soon a pruned search is as good as a random one.
bench-tune: $(READY)
	$(BIN)/python -m tools.bench_tune --out docs/numbers/sweep_cost.csv && $(BIN)/python -m tools.replay_search --out docs/numbers/sweep_replay.csv

demo: $(READY)
	$(BIN)/python -m raydet.cli demo nuclei

demo-trees: $(READY)
	$(BIN)/python -m raydet.cli demo trees

# A sweep of learning rate, anchors, losses and augmentation on real micrographs; its report is tune_results/<name>/report.html.
demo-tune: $(READY)
	$(BIN)/python -m raydet.cli tune lr_anchors_losses --num-trials 16 --name demo_$$(date +%Y%m%d_%H%M%S)

# Brings docs/models.md up to date with the configs.
models: $(READY)
	$(BIN)/python -m tools.model_table

# Writes the cluster files again that are shipped in clusters/.
clusters: $(READY)
	PYTHONPATH=. $(BIN)/python tools/render_clusters.py

docs: $(READY)
	$(BIN)/sphinx-build -q -W -b html docs site

clean:
	rm -rf build dist site .mypy_cache .ruff_cache .pytest_cache work_dirs *.egg-info
