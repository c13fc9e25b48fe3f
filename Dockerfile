# One image for every command: `docker run fumikura --help`. torch's wheels bring the CUDA libraries along,
# so the host needs only NVIDIA's driver and container toolkit, and a machine without a GPU needs neither.

# By digest, so that the same file builds the same image; `make digests` asks for today's.
ARG PYTHON_IMAGE=python:3.12.14-slim-trixie@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea

FROM ${PYTHON_IMAGE} AS build

# For a mirror of the package index: --build-arg PIP_INDEX_URL=URL. Other builds of torch than the index's need
# a lock file of their own, see docs/deployment.md.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG LOCK_FILE=requirements.lock
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /src
RUN python -m venv /opt/fumikura
ENV PATH=/opt/fumikura/bin:$PATH

# The dependencies are gigabytes and change seldom: they get a layer that a change of the code leaves alone.
COPY ${LOCK_FILE} requirements.lock
RUN pip install --require-hashes --requirement requirements.lock

COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY src src
COPY core core
COPY worker worker
COPY cli cli
COPY web web
COPY migrations migrations
# With the build program of the lock file: without --no-build-isolation pip would fetch the newest one.
RUN pip install --no-deps --no-index --no-build-isolation .


FROM ${PYTHON_IMAGE}

# A fixed number, so that the owner of a mounted folder can let it in: chown 10001 results
RUN useradd --uid 10001 --create-home --home-dir /data --shell /usr/sbin/nologin fumikura
COPY --from=build /opt/fumikura /opt/fumikura
ENV PATH=/opt/fumikura/bin:$PATH PYTHONUNBUFFERED=1 MPLCONFIGDIR=/tmp/matplotlib

USER 10001
# What a command writes without being told where (fumikura.db, pictures) goes here.
WORKDIR /data

# No HEALTHCHECK: most commands run once and end. A worker is alive when its pages get finished, which
# /healthz tells where FUMIKURA_METRICS_PORT is set (see docker-compose.yml).
ENTRYPOINT ["fumikura"]
CMD ["--help"]
