# One image for the gateway and the worker; the command says which:
#   docker run ... steplog server        docker run ... steplog worker
# It holds no Postgres: give it DATABASE_URL. deploy/compose.yaml runs the whole service.

# Debian slim, not Alpine: the native parts of our packages are built for glibc. Current LTS of Node.
FROM node:22-bookworm-slim AS base
WORKDIR /app

# The web page needs the development packages, and the native device a compiler; the image needs neither, so that they
# stay in their stages.
FROM base AS development
COPY package.json package-lock.json ./
# --ignore-scripts: our own `install` and `prepare` would build what has no sources here yet. Lock file first and sources
# after it, so that a change of a source file does not install everything again.
RUN npm ci --ignore-scripts

FROM development AS native
RUN apt-get update && apt-get install -y --no-install-recommends g++ make python3
COPY engine/native engine/native
RUN npm run native:prebuild

# dist/, and the page in dashboard/dist.
FROM development AS built
COPY . .
RUN npm run build

FROM base AS packages
COPY package.json package-lock.json ./
# The embedded Postgres (60 MB) is for machines without a database; here DATABASE_URL names one.
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force

FROM base
# Process 1 must pass SIGTERM on and collect orphans; node does neither, tini does both.
RUN apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/*
ENV NODE_ENV=production \
    STEPLOG_HOST=0.0.0.0 \
    STEPLOG_DATA=/data
COPY --from=packages /app/node_modules node_modules
COPY package.json LICENSE ./
COPY migrations migrations
COPY demo demo
COPY deploy/health.js deploy/health.js
COPY --from=native /app/engine/native/prebuilds engine/native/prebuilds
COPY --from=built /app/dist dist
COPY --from=built /app/dashboard/dist dashboard/dist

# Blobs and models. The gateway and the workers share them: see deploy/README.md. Made here, so that a new volume
# belongs to the user that the processes run as; the program itself stays root's, and so cannot be changed by them.
RUN mkdir -p /data/models /data/storage && chown -R node:node /data
VOLUME /data
USER node
EXPOSE 4000

# The gateway answers /readyz when it reaches Postgres. A worker listens nowhere and is judged by its lease instead, so
# that compose.yaml switches the check off for it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["node", "deploy/health.js"]
ENTRYPOINT ["tini", "--", "node", "dist/cli/steplog.js"]
CMD ["server"]
