# Slim, non-root, one process. Build: docker build -t attribution .
# Smaller CPU build of torch: --build-arg TORCH_INDEX=<address of PyTorch's own CPU index>
FROM python:3.12-slim AS build
ARG TORCH_INDEX=""
ARG EXTRAS=report
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY app app
COPY attribution attribution
COPY attribution_client attribution_client
COPY models models
# With the CPU index torch comes from there, in the version of the constraints, and satisfies the
# install after it; without, the default build is taken.
RUN if [ -n "$TORCH_INDEX" ]; then \
      /opt/venv/bin/pip install --index-url "$TORCH_INDEX" \
        "$(grep -E '^torch==' constraints.txt)" "$(grep -E '^torchvision==' constraints.txt)"; \
    fi \
 && /opt/venv/bin/pip install --constraint constraints.txt ".[$EXTRAS]"

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /data attribution \
 && mkdir /data && chown attribution /data
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ATTRIBUTION_DATA=/data \
    ATTRIBUTION_HOST=0.0.0.0 \
    ATTRIBUTION_PORT=8000 \
    ATTRIBUTION_ADMIN_KEY_FILE=/data/admin.key \
    HF_HOME=/data/hub
USER attribution
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
  CMD python -c "import urllib.request as u; from app.settings import Settings; u.build_opener(u.ProxyHandler({})).open(f'http://127.0.0.1:{Settings().port}/readyz', timeout=4)"
ENTRYPOINT ["attribution"]
CMD ["serve"]
