# Builds with docker or buildah: docker build -t koala-bpf:0.1.0 .
# Run: docker run --rm --privileged --pid=host -v /sys/fs/cgroup:/sys/fs/cgroup:ro -v "$PWD:/out" koala-bpf:0.1.0 \
#        attach --pid N --out /out/recording
# BASE: any Debian 12 or newer with Node ≥20.15; RUNTIME the same, small.
ARG BASE=docker.io/library/node:22-bookworm-slim
ARG RUNTIME=docker.io/library/node:22-bookworm-slim

FROM ${BASE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends clang llvm bpftool libbpf-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN scripts/build --require-bpf \
 && npm pack --ignore-scripts \
 && npm install --global --prefix /opt/koala-bpf --omit=dev --no-audit --no-fund ./koala-bpf-*.tgz

FROM ${RUNTIME}
# libbpf loads the programs; iptables and iproute2 are replay's (setpriv, nsenter and unshare are in util-linux).
RUN apt-get update \
 && apt-get install -y --no-install-recommends libbpf1 iptables iproute2 util-linux \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/koala-bpf /opt/koala-bpf
RUN ln -s /opt/koala-bpf/bin/koala-bpf /usr/local/bin/koala-bpf
# Root, because the kernel asks for it. Ends by SIGINT: what happened before is drained.
STOPSIGNAL SIGINT
ENTRYPOINT ["koala-bpf"]
CMD ["doctor"]
