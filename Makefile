.PHONY: help check test up bench docs sbom lock

help:  ## Show what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

check:  ## Lint, types, and the configuration that ships
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	firstline check

test:  ## All tests (no real model, no real provider)
	pytest

up:  ## Start the whole deployment with compose
	docker compose up --build --wait

bench:  ## Every bench, each figure beside its target
	python -m bench all

docs:  ## The docs as a site in build/site; every link is checked
	mkdocs build --strict

sbom:  ## Write what the image installs as CycloneDX, and look for known holes (needs the extra supply)
	python .ci/supply_chain.py sbom.json

lock:  ## Pin what the image installs, with hashes (needs uv)
	echo 'setuptools>=77' | uv pip compile pyproject.toml - --extra mcp --extra oidc --extra otel --extra postgres \
		--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--custom-compile-command "make lock" --quiet --output-file config/requirements.lock
