# Every recipe is one line; what it does lives in the file that it names.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test test-long test-cluster soak lint types imports check docs bench eval clean

demo: .venv/.embedded  ## The golden example on a real Kafka: no key, no Docker, no Java installed by hand.
	@$(BIN)/python examples/demo.py

test: .venv/.dev  ## The whole test suite, against a real Kafka for each of two processes.
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --durations 10

test-long: .venv/.dev  ## The long forms: ten kills where the suite has two, soaks.
	@$(BIN)/python -m pytest -q -m long --timeout 3600

test-cluster: .venv/.dev  ## Brokers and workers killed, stopped, parted and changed under load: for the night.
	@$(BIN)/python -m pytest -q -m cluster --timeout 1800

soak: .venv/.dev  ## 20 minutes at 500 commands a second, a worker killed every minute and a broker every five.
	@$(BIN)/python benchmarks/soak.py

lint: .venv/.dev
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: .venv/.dev
	@$(BIN)/mypy && $(BIN)/pyright

imports: .venv/.dev  ## Upper rooms import lower ones only.
	@cd typings && ../$(BIN)/lint-imports --config ../.importlinter

check: lint types imports test

docs: .venv/.dev  ## Write the generated references anew; the tests fail where they are stale.
	@$(BIN)/python docs/generate.py

bench: .venv/.dev  ## A table, and JSON in benchmarks/results/.
	@$(BIN)/python benchmarks/run.py

eval: .venv/.dev  ## How well the offline models understand: the golden dialogues.
	@$(BIN)/python benchmarks/understanding.py

.venv/.embedded: pyproject.toml constraints.txt
	@$(PYTHON) -m venv .venv && $(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -c constraints.txt -e '.[embedded]' | grep --line-buffered -E '^(Downloading|Installing|Successfully)' | cut -c1-110 && touch $@

.venv/.dev: pyproject.toml constraints.txt
	@$(PYTHON) -m venv .venv && $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[embedded,dev]' && touch $@ .venv/.embedded

clean:
	@rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
