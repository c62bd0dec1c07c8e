# Each target is one command that CI runs too. Everything is set up in .venv on first use; nothing outside it is changed.

PYTHON ?= python3
KUBECTL ?= kubectl
CONTAINER_TOOL ?= docker
IMG ?= immich-operator:latest
ARGS ?=

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PAIRS :=
INTEGRATION := tests/integration

export PATH := $(CURDIR)/$(BIN):$(PATH)
export ANSIBLE_HOME := $(CURDIR)/$(VENV)/ansible-home
export ANSIBLE_NOCOWS := 1

##@ Look

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(READY) ## Start a local Kubernetes, run the operator, apply a sample, show what happens, clean up
	@python hack/demo.py $(ARGS)

##@ Develop

.PHONY: setup
setup: $(READY) ## Create the virtual environment with everything from the lock file

$(READY): requirements/dev.txt hack/setup.sh
	@bash hack/setup.sh $(PYTHON) $(VENV)

.PHONY: test
test: lint unit integration ## Run lint, unit and integration tests

.PHONY: lint
lint: $(READY) ## Check style, types, layers, YAML and roles, and that generated files are up to date
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	yamllint --strict .
	ansible-lint --offline
	python -m hack.generate --check

.PHONY: unit
unit: $(READY) ## Run the tests that need no cluster
	pytest tests/unit $(ARGS)

.PHONY: integration
integration: $(READY) ## Run the tests against a local Kubernetes with simulated nodes
	pytest $(INTEGRATION) $(ARGS)

.PHONY: process-engine
process-engine: $(READY) ## Run the tests whose result may depend on the engine with the process engine
	IMMICH_TEST_ENGINE=process pytest tests/integration -m every_engine $(ARGS)

.PHONY: matrix
matrix: $(READY) ## Run what depends on the versions of Python, ansible-core and the Kubernetes client with others than those in .venv; PAIRS=3.13:2.20
	bash hack/matrix.sh $(PAIRS) -- $(ARGS)

.PHONY: matrix-full
matrix-full: $(READY) ## Run all unit and integration tests with each supported ansible-core, and with both engines (hours)
	bash hack/matrix.sh --all 3.11:2.18 3.11:locked 3.13:2.20 3.13:locked 3.11:locked:33 -- $(ARGS)
	IMMICH_TEST_ENGINE=process pytest tests/integration/instance tests/integration/operator $(ARGS)

.PHONY: flaky
flaky: $(READY) ## Run unit, integration and e2e tests five times, twice under other load; name each test that failed once
	python -m hack.ci.flaky $(ARGS)

.PHONY: e2e
e2e: $(READY) ## Run the end-to-end tests: the deployed operator on a node that runs containers (needs root)
	pytest tests/e2e $(ARGS)

.PHONY: chaos
chaos: $(READY) ## Try faults of the API server and of the operator at random moments; ARGS="--seed 2 --share 0.1"
	pytest tests/chaos $(ARGS)

.PHONY: fuzz
fuzz: $(READY) ## Try custom resources and other input made at random; ARGS="--examples 200000 --seed 2" for some hours
	pytest tests/fuzz $(ARGS)

.PHONY: soak
soak: $(READY) ## Change many instances for half an hour, and one beside a noisy namespace; ARGS="--instances 60 --minutes 2 --noisy 12"
	pytest tests/soak $(ARGS)

.PHONY: molecule
molecule: $(READY) ## Test the role with Molecule against the cluster of the current context, in the namespace molecule-immich
	molecule test $(ARGS)

.PHONY: docs
docs: $(READY) ## Build the documentation site into site/
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

.PHONY: docs-test
docs-test: $(READY) ## Run every command in the documentation against a local Kubernetes
	pytest tests/docs $(ARGS)

.PHONY: packaging
packaging: $(READY) ## Run the tests that build wheel, collection and image
	pytest tests/packaging $(ARGS)

.PHONY: bench
bench: $(READY) ## Measure both engines for an hour: time, requests, CPU, memory; ARGS="--report PAGE" writes the page
	python -m bench $(ARGS)

.PHONY: format
format: $(READY) ## Format the code and fix what the linter can fix
	ruff check --fix .
	ruff format .

.PHONY: generate
generate: $(READY) ## Write the generated files; ARGS="crds rbac" for some of them
	python -m hack.generate $(ARGS)

.PHONY: golden
golden: $(READY) ## Rewrite the golden manifests; review them as text
	GOLDEN=write pytest -q tests/unit/plugin_utils/passes/test_golden.py

.PHONY: lock
lock: ## Resolve the requirements into the lock files again (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header requirements/dev.in -o requirements/dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header requirements/runtime.in -c requirements/dev.txt -o requirements/runtime.txt

##@ Run against the cluster of the current context

.PHONY: install
install: ## Install the CRD
	$(KUBECTL) apply --server-side -k config/crd

.PHONY: uninstall
uninstall: ## Remove the CRD, and with it all Immich custom resources (libraries, databases and passwords stay)
	$(KUBECTL) delete --ignore-not-found -k config/crd

.PHONY: deploy
deploy: $(READY) ## Deploy CRD and operator with the image IMG
	python hack/installer.py --image "$(IMG)" | $(KUBECTL) apply --server-side -f -

.PHONY: undeploy
undeploy: $(READY) ## Remove the operator; the CRD and all instances stay
	# Its pod first, so that it can finish its work while it still has its permissions.
	@$(KUBECTL) delete deployment immich-operator-controller-manager --namespace immich-operator-system \
		--ignore-not-found --cascade=foreground
	python hack/installer.py --without-crds | $(KUBECTL) delete --ignore-not-found -f -

.PHONY: run
run: $(READY) ## Run the operator on this machine
	@eval "$$(python hack/related_images.py)" && immich-operator run $(ARGS)

##@ Build

.PHONY: build
build: $(READY) ## Build wheel, sdist and collection into dist/; the same files make the same archives
	python -m build --sdist --wheel --outdir dist
	python hack/collection.py dist

.PHONY: sbom
sbom: $(READY) ## Write dist/sbom.*.json, the parts of the runtime, and with ROOT, an unpacked image, those of the image
	python -m hack.sbom --output dist $(if $(ROOT),--root "$(ROOT)")

.PHONY: docker-build
docker-build: ## Build the operator's image as IMG
	$(CONTAINER_TOOL) build --tag $(IMG) .

.PHONY: image
image: ## Build the operator's image as IMG with buildah and no registry, on a stand-in for the base image
	hack/image/build.sh $(IMG)

.PHONY: build-installer
build-installer: $(READY) ## Write dist/install.yaml: CRD and operator with the image IMG
	mkdir -p dist
	python hack/installer.py --image "$(IMG)" --output dist/install.yaml

.PHONY: clean
clean: ## Remove build results and the virtual environment
	rm -rf dist build site .pytest_cache .mypy_cache .ruff_cache .hypothesis $(VENV)
