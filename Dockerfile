# One image for every command: `docker run fumikura --help`. torch's wheels bring the CUDA libraries along,
# so the host needs only NVIDIA's driver and container toolkit, and a machine without a GPU needs neither.

FROM python:3.12-slim AS build

# For a mirror of the package index, or for builds of torch other than the index's: --build-arg NAME=URL
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /src
RUN python -m venv /opt/fumikura
ENV PATH=/opt/fumikura/bin:$PATH

# The dependencies are gigabytes and change seldom: they get a layer that a change of the code leaves alone.
COPY pyproject.toml .
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
extras = project['optional-dependencies']; \
print(*project['dependencies'], *extras['postgres'], *extras['http'], *extras['s3'], *extras['flower'], sep='\n')" > requirements.txt \
    && pip install --requirement requirements.txt

COPY README.md LICENSE ./
COPY src src
COPY core core
COPY worker worker
COPY cli cli
COPY migrations migrations
RUN pip install --no-deps .


FROM python:3.12-slim

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
