# One image for both commands, toto-gateway and toto-worker; what starts it names the one to run.

FROM python:3.11-slim-bookworm AS build
WORKDIR /source
RUN python -m venv /venv
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
COPY worker worker
COPY shared shared
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check '.[bson]'

FROM python:3.11-slim-bookworm
# A number, not a name: Kubernetes' runAsNonRoot cannot check a name.
RUN useradd --uid 10001 --create-home toto && install -d -o toto /var/lib/toto
COPY --from=build /venv /venv
# What methods print belongs in the container's log at once.
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TOTO_SQLITE_PATH=/var/lib/toto/toto.db
# The sample application. Mount or copy your own package `methods` in its place.
WORKDIR /app
COPY examples/quickstart/methods methods
USER 10001:10001
EXPOSE 8888
# The commands finish their calls before they end.
STOPSIGNAL SIGTERM
