# The service with the telco workspace and its trained models. Nothing is compiled: hash-pinned wheels only.

FROM python:3.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /srv/arbiter
RUN python -m venv /opt/arbiter
ENV PATH=/opt/arbiter/bin:$PATH

# The dependencies change seldom: a layer of their own.
COPY requirements/run.txt requirements/
RUN pip install --only-binary :all: --require-hashes --requirement requirements/run.txt

COPY pyproject.toml README.md LICENSE ./
COPY service/ service/
COPY models/ models/
COPY feature_store/ feature_store/
COPY numerics/ numerics/
COPY loadtests/ loadtests/
RUN pip install --no-deps --no-build-isolation .
# Loops become machine code here, those that were installed and not those of this folder. Numba reads only where it
# may write, so the code goes to the data folder: a processor of another kind has its own made there, once.
ENV NUMBA_CACHE_DIR=/srv/loops
RUN python -P -c "import service.runtime.decider, feature_store.store"

# The demo population and the models that its history trains are in the image: a container is ready in seconds.
COPY examples/telco/ examples/telco/
RUN arbiter train examples/telco && mv .arbiter/demo/telco/*.parquet examples/telco/

FROM python:3.13-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin arbiter \
    && install --directory --owner arbiter --group arbiter /data

COPY --from=build /opt/arbiter /opt/arbiter
COPY --from=build /srv/arbiter/examples /srv/arbiter/examples
COPY --from=build --chown=arbiter:arbiter /srv/loops /data/loops

ENV PATH=/opt/arbiter/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ARBITER_HOST=0.0.0.0 \
    ARBITER_DATA=/data \
    NUMBA_CACHE_DIR=/data/loops
WORKDIR /srv/arbiter
USER arbiter
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGINT

HEALTHCHECK --interval=5s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('ARBITER_PORT', '8080') + '/health/ready', timeout=2)"]

CMD ["arbiter", "run", "examples/telco"]
