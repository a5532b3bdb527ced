# One image for every process of Firstline: dependencies locked by hash, no compiler, no root.
ARG PYTHON_IMAGE=python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${PYTHON_IMAGE} AS build
ENV PATH=/opt/firstline/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/firstline
WORKDIR /build
COPY config/requirements.lock ./
# An index of your own comes as a secret and stays out of every layer: docker build --secret id=pip,src=pip.conf
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps --require-hashes --only-binary :all: --requirement requirements.lock
COPY pyproject.toml README.md ./
COPY src src
COPY schemas schemas
COPY config config
COPY workers workers
COPY orchestrator orchestrator
RUN pip install --no-deps --no-index --no-build-isolation .

FROM ${PYTHON_IMAGE}
# Volumes that are mounted here are made with this owner.
RUN groupadd --gid 10001 firstline \
    && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin firstline \
    && install --directory --owner=firstline --group=firstline /files /spool
COPY --from=build /opt/firstline /opt/firstline
ENV PATH=/opt/firstline/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FIRSTLINE_HOME=/files \
    FIRSTLINE_STATE_DIR=/tmp/firstline \
    FIRSTLINE_LOG_FORMAT=json
USER 10001:10001
WORKDIR /
ENTRYPOINT ["firstline"]
