# The bridge as an image: docker build -t letta-slack-bridge .
#   docker run --env-file .env -v bridge-data:/app/data letta-slack-bridge
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json manifest.yml LICENSE ./
# The database lives here; node is the image's own user without rights.
RUN mkdir data && chown node:node data
USER node
VOLUME /app/data
# Node itself is process 1 and hears SIGTERM: no npm and no shell in between.
STOPSIGNAL SIGTERM
CMD ["node", "dist/main.js"]
