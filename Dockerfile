# syntax=docker/dockerfile:1

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# With .git, so that the binary knows its version.
COPY . .
RUN git config --global --add safe.directory /src && scripts/build /hermes

FROM debian:bookworm-slim
# What agents find useful: git, TLS roots, curl, and ripgrep, which makes searches
# fast. bash and the coreutils are there already.
RUN apt-get update \
	&& apt-get install -y --no-install-recommends ca-certificates curl git ripgrep \
	&& rm -rf /var/lib/apt/lists/* \
	&& useradd --uid 10001 --user-group --home-dir /data --no-create-home --shell /bin/bash hermes \
	&& install -d -o hermes -g hermes -m 0700 /data
COPY --from=build /hermes /usr/local/bin/hermes
USER 10001:10001
ENV HERMES_HOME=/data
VOLUME /data
WORKDIR /data
# The default profile's port, and the first ones that named profiles are given.
EXPOSE 8642-8663
# Ready when every profile that is served is. No curl, no port: the binary asks the
# gateway's control socket.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
	CMD ["hermes", "gateway", "status", "--check"]
# The gateway is a fit pid 1: it reaps what its workers leave behind, drains them on
# SIGTERM, and hurries on a second one. Give `docker stop` the drain time, 60 s unless
# api_server.drain_timeout says otherwise: docker stop --time 70.
STOPSIGNAL SIGTERM
ENTRYPOINT ["hermes"]
CMD ["gateway", "--all"]
