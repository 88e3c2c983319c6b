# Builds the images with Docker. All of them: docker buildx bake --load (docker-bake.json). One: docker build --target processor .
# `npm run images` builds the same images without Docker. In both cases images/ writes their contents. Their configuration is
# defined in images/config.ts; test/images checks that this file has the same.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# The same command as in local/bootstrap.mjs. This layer stays cached while only sources change.
RUN npm install --no-save --include=dev --no-audit --no-fund
COPY . .
RUN node_modules/.bin/node images/main.ts --rootfs /rootfs

FROM scratch AS runtime
COPY --from=build /rootfs/runtime /
ENV PATH=/usr/bin NODE_ENV=production NODE_COMPILE_CACHE=/tmp/compiled
WORKDIR /app
USER 10001:10001
# The commit: --build-arg REVISION=$(git rev-parse HEAD)
ARG REVISION=unknown
LABEL org.opencontainers.image.description="Exact event-time aggregation of sales from Kafka into PostgreSQL and Elasticsearch" \
      org.opencontainers.image.version="0.3.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/OWNER/sales-pipeline" \
      org.opencontainers.image.documentation="https://github.com/OWNER/sales-pipeline#readme"

FROM runtime AS processor
COPY --from=build /rootfs/processor /
ENV MALLOC_ARENA_MAX=1
LABEL org.opencontainers.image.title="SalesPipeline worker"
ENTRYPOINT ["/usr/bin/node", "--require", "/app/signals.cjs", "--max-semi-space-size=4", "--heap-growing-percent=100", "/app/bin/processor.mjs"]

FROM runtime AS producer
COPY --from=build /rootfs/producer /
LABEL org.opencontainers.image.title="SalesPipeline producer: REST ingest, load generator and check"
ENTRYPOINT ["/usr/bin/node", "--require", "/app/signals.cjs", "/app/bin/producer.mjs"]

FROM runtime AS verify
COPY --from=build /rootfs/verify /
LABEL org.opencontainers.image.title="SalesPipeline verifier"
ENTRYPOINT ["/usr/bin/node", "--require", "/app/signals.cjs", "/app/bin/verify.mjs"]

# The last target, which `docker build .` builds by default.
FROM runtime AS operator
COPY --from=build /rootfs/operator /
ENV MALLOC_ARENA_MAX=1
LABEL org.opencontainers.image.title="SalesPipeline operator"
ENTRYPOINT ["/usr/bin/node", "--require", "/app/signals.cjs", "--max-semi-space-size=1", "--optimize-for-size", "/app/bin/operator.mjs"]
