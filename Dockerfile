# The bridge as an image: docker build -t letta-slack-bridge .
#   docker run --env-file .env -v bridge-data:/app/data letta-slack-bridge
#   docker run --rm --env-file .env letta-slack-bridge doctor
# With a Letta server beside it: compose.yaml.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY sandbox/package.json ./sandbox/
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY manifest.yml ./
COPY src ./src
COPY sandbox ./sandbox
RUN npm run build

# Without the workspaces' package.json: they have what development needs, and Node, which the image has.
FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

# Only for compose.yaml: a Letta App Server, in the version that the bridge is tested with.
FROM node:24-slim AS letta
RUN npm install --global --no-audit --no-fund @letta-ai/letta-code@0.32.18
RUN mkdir -p /work && chown node:node /work
USER node
WORKDIR /work
STOPSIGNAL SIGTERM
CMD ["letta", "server", "--backend", "local", "--listen", "ws://127.0.0.1:4500"]

FROM node:24-slim
ENV NODE_ENV=production PORT=3000
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY bin ./bin
COPY package.json LICENSE ./
RUN ln -s /app/bin/letta-slack.cjs /usr/local/bin/letta-slack
# The database lives here, and nothing else is ever written; node is the image's own user without rights.
RUN mkdir data && chown node:node data
USER node
VOLUME /app/data
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 3000) + '/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Node itself is process 1 and hears SIGTERM: no npm and no shell in between.
STOPSIGNAL SIGTERM
# Frames come and go by the thousand: with more room for what is young, less of it is collected late, in long pauses.
ENTRYPOINT ["node", "--max-semi-space-size=64", "/app/bin/letta-slack.cjs"]
CMD ["start"]
