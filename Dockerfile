# The service as an image, in two targets:
#   docker build --target cpu -t acestep-ray:cpu .    mock engines, any machine
#   docker build --target gpu -t acestep-ray:gpu .    real models on NVIDIA GPUs
# Debian 12's own Python is 3.11, the one that everything is tested with.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS python
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

# First what the code needs, as an empty package: a change of code then builds in seconds.
FROM python AS cpu-packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python3 -m venv /opt/acestep && touch README.md
COPY pyproject.toml ./
RUN /opt/acestep/bin/pip install .

FROM cpu-packages AS gpu-packages
RUN /opt/acestep/bin/pip install '.[gpu]'

FROM cpu-packages AS cpu-code
COPY README.md serve_config.yaml serve_config.gpu.yaml ./
COPY acestep_ray acestep_ray
COPY deployments deployments
RUN /opt/acestep/bin/pip install --no-deps --force-reinstall .

FROM gpu-packages AS gpu-code
COPY README.md serve_config.yaml serve_config.gpu.yaml ./
COPY acestep_ray acestep_ray
COPY deployments deployments
RUN /opt/acestep/bin/pip install --no-deps --force-reinstall .

FROM python AS user
# Reads the audio that clients send as M4A, WebM and the like.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ffmpeg \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 1000 --user-group --create-home acestep \
    && install -d -o acestep -g acestep /data
# RAY_AUTH_MODE: within one container Ray needs no token; KubeRay sets `token` over it.
ENV PATH=/opt/acestep/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RAY_AUTH_MODE=disabled \
    RAY_USAGE_STATS_ENABLED=0 \
    ACESTEP_DATA=/data
WORKDIR /home/acestep
EXPOSE 8000

# Either listens on every address, so it wants ACESTEP_API_KEY, and says so.
FROM user AS cpu
COPY --from=cpu-code /opt/acestep /opt/acestep
USER 1000:1000
CMD ["acestep-ray", "serve", "serve_config.yaml", "--host", "0.0.0.0", "--port", "8000"]

FROM user AS gpu
# Triton compiles what launches its kernels when it first runs them.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        gcc libc6-dev python3-dev \
    && rm -rf /var/lib/apt/lists/*
# The driver's libraries come from the node.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=gpu-code /opt/acestep /opt/acestep
USER 1000:1000
CMD ["acestep-ray", "serve", "serve_config.gpu.yaml", "--host", "0.0.0.0", "--port", "8000"]
