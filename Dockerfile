# The service's images, one target each:
#
#   docker build -t steplog .                                          gateway and worker; the command says which
#   docker build -t steplog-gateway    --target gateway    .           the gateway alone
#   docker build -t steplog-worker     --target worker     .           the worker, on the processor
#   docker build -t steplog-worker-gpu --target worker-gpu .           the worker, on NVIDIA GPUs
#
# None holds a Postgres: give DATABASE_URL. deploy/compose.yaml runs the whole service; deploy/README.md has the sizes.
# tests/package/image builds and runs all of this without Docker. It knows the instructions that are used here.

# Debian slim, not Alpine: the native parts of our packages are built for glibc. A release of Node with long-term support.
FROM node:22-bookworm-slim AS base
WORKDIR /app

# What the images share. First in each of them, since it changes least.
FROM base AS runtime
# Process 1 must pass SIGTERM on and collect orphans; node does neither, tini does both.
# hadolint ignore=DL3008 # Debian keeps one version of a package: a pinned one is gone with its next fix.
RUN apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/*
# Blobs and models. The gateway and the workers share them: see deploy/README.md. Made here, so that a new volume
# belongs to the user that the processes run as; the program itself stays root's, and so cannot be changed by them.
RUN mkdir -p /data/models /data/storage /data/cuda && chown -R node:node /data
VOLUME /data
ENV NODE_ENV=production \
    STEPLOG_HOST=0.0.0.0 \
    STEPLOG_DATA=/data
# The user `node`, as a number, so that Kubernetes can tell that it is not root.
USER 1000:1000
ENTRYPOINT ["tini", "--", "node", "dist/cli/steplog.js"]
LABEL org.opencontainers.image.vendor="Steplog" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"

# A compiler, for the addons of the native device and of TensorFlow.js. It stays in the stages that build them.
FROM base AS compiler
# hadolint ignore=DL3008 # as above
RUN apt-get update && apt-get install -y --no-install-recommends g++ make python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

# npm's cache is mounted, so that it is in no layer. --ignore-scripts: our own `install` and `prepare` would build what has
# no sources here yet. Lock file first and sources after it, so that a change of a source does not install everything again.
FROM base AS packages
COPY package.json package-lock.json ./
# The embedded Postgres (60 MB) is for machines without a database; here DATABASE_URL names one.
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --omit=optional --ignore-scripts

# dist/, the page in dashboard/dist, and its documentation in docs/dist.
FROM base AS built
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts
COPY . .
RUN npm run build

FROM compiler AS native
COPY --from=packages /app/node_modules node_modules
COPY package.json ./
COPY engine/native engine/native
RUN npm run native:prebuild

# What every image has in /app beside node_modules.
FROM base AS program
COPY package.json LICENSE ./
COPY migrations migrations
COPY demo demo
COPY --from=built /app/dist dist

# TensorFlow.js for NVIDIA GPUs: the addon, libtensorflow and the CUDA libraries of TensorFlow's wheels. So they should need no
# CUDA in the base image, and of the host only the driver: expected, not watched on a GPU. The command opens the device before
# it is content, which needs no GPU.
FROM compiler AS tensorflow
COPY --from=packages /app/node_modules node_modules
COPY --from=program /app ./
ENV STEPLOG_DEVICES=/app/devices
RUN --mount=type=cache,target=/root/.npm --mount=type=cache,target=/root/.cache/pip \
    node dist/cli/steplog.js device install tfjs-gpu --source wheel

FROM runtime AS worker
COPY --from=packages /app/node_modules node_modules
COPY --from=native /app/engine/native/prebuilds engine/native/prebuilds
COPY --from=program /app ./
LABEL org.opencontainers.image.title="Steplog worker" \
      org.opencontainers.image.description="Trains language models with forward passes only (MeZO), on the processor"
# A worker listens nowhere. One that hangs loses its lease within seconds, and another goes on.
HEALTHCHECK NONE
CMD ["worker"]

# The largest layer comes first: a change of the program leaves it as it is.
FROM runtime AS worker-gpu
# The driver may compile kernels for its GPU, which can take many minutes: what it made is kept in the volume (docs/GPU.md).
# Read, not watched.
ENV STEPLOG_DEVICES=/app/devices \
    STEPLOG_DEVICE=tfjs-gpu \
    CUDA_CACHE_PATH=/data/cuda \
    CUDA_CACHE_MAXSIZE=4294967296 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=tensorflow /app/devices devices
COPY --from=packages /app/node_modules node_modules
COPY --from=native /app/engine/native/prebuilds engine/native/prebuilds
COPY --from=program /app ./
LABEL org.opencontainers.image.title="Steplog GPU worker" \
      org.opencontainers.image.description="Trains language models with forward passes only (MeZO), on NVIDIA GPUs"
HEALTHCHECK NONE
CMD ["worker"]

FROM runtime AS gateway
COPY --from=packages /app/node_modules node_modules
COPY --from=program /app ./
COPY --from=built /app/dashboard/dist dashboard/dist
COPY --from=built /app/docs/dist docs/dist
COPY deploy/health.js deploy/health.js
LABEL org.opencontainers.image.title="Steplog gateway" \
      org.opencontainers.image.description="GraphQL API and dashboard of a service that trains language models with MeZO"
EXPOSE 4000
# It answers /readyz when it reaches Postgres.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["node", "deploy/health.js"]
CMD ["server"]

# The default: the gateway, with the native device for `docker run ... steplog worker`, which needs --no-healthcheck.
FROM gateway AS steplog
COPY --from=native /app/engine/native/prebuilds engine/native/prebuilds
LABEL org.opencontainers.image.title="Steplog" \
      org.opencontainers.image.description="Trains language models with forward passes only (MeZO), as a service"
