# One image per service, each with that service's own libraries only:
#   docker compose build            all of them
#   docker build --target dhcp .    one
# Only what Docker Engine 20.10 understands without BuildKit's own syntax image.
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
ENV UV_SYSTEM_CERTS=true UV_LINK_MODE=copy PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY constraints.txt ./
# uv checks the hashes that stand in constraints.txt; its own is checked by pip.
RUN python3 -m venv /opt/tools \
    && sed -n '/^uv==/,/^    # via/p' constraints.txt > /tmp/uv.txt \
    && /opt/tools/bin/pip install --quiet --require-hashes -r /tmp/uv.txt
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY services services
COPY agent agent
COPY cli cli
COPY lab lab
RUN /opt/tools/bin/uv build --quiet --wheel --build-constraint constraints.txt --out-dir /wheels

# install-service EXTRA: the wheel and that service's libraries into /opt/ironwake
RUN printf '%s\n' '#!/bin/sh -eu' \
        'python3 -m venv --without-pip /opt/ironwake' \
        'exec /opt/tools/bin/uv pip install --quiet --python /opt/ironwake/bin/python \' \
        '    --constraint /src/constraints.txt "$(ls /wheels/*.whl)[$1]"' \
        > /opt/tools/bin/install-service \
    && chmod 0755 /opt/tools/bin/install-service

FROM build AS controller-libraries
RUN /opt/tools/bin/install-service controller
FROM build AS dhcp-libraries
RUN /opt/tools/bin/install-service dhcp
FROM build AS tftp-libraries
RUN /opt/tools/bin/install-service tftp
FROM build AS dns-libraries
RUN /opt/tools/bin/install-service dns
FROM build AS http-libraries
RUN /opt/tools/bin/install-service http
# Nothing but what all of them have.
FROM build AS packages-libraries
RUN /opt/tools/bin/install-service packages
FROM build AS imager-libraries
RUN /opt/tools/bin/install-service imager

FROM ${BASE} AS service
ENV PATH=/opt/ironwake/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    IRONWAKE_STATE_DIR=/var/lib/ironwake \
    IRONWAKE_SECRETS_DIR=/var/lib/ironwake-secrets \
    IRONWAKE_ARTIFACTS_DIR=/var/lib/ironwake-artifacts \
    IRONWAKE_CAPTURES_DIR=/var/lib/ironwake-captures \
    IRONWAKE_PROFILES_DIR=/etc/ironwake/profiles \
    IRONWAKE_PARAMETERS_DIR=/etc/ironwake/parameters \
    IRONWAKE_CATALOGUE_DIR=/etc/ironwake/catalogue \
    IRONWAKE_ISO_DIR=/isos
# Volumes take over the owner of the folder that they cover, in whichever image is first.
RUN groupadd --gid 10001 ironwake \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/ironwake ironwake \
    && install -d -m 0700 -o ironwake -g ironwake /var/lib/ironwake /var/lib/ironwake-epoch \
        /var/lib/ironwake-secrets \
    && install -d -m 0755 -o ironwake -g ironwake /var/lib/ironwake-artifacts \
        /var/lib/ironwake-captures /var/cache/ironwake/packages \
    && install -d -m 0755 /etc/ironwake/profiles /etc/ironwake/parameters \
        /etc/ironwake/catalogue /isos
# as-ironwake CAPABILITIES COMMAND…: from root to uid 10001, with these capabilities alone
RUN printf '%s\n' '#!/bin/sh -eu' 'capabilities="-all,$1"' 'shift' \
        'exec setpriv --reuid 10001 --regid 10001 --clear-groups \' \
        '    --inh-caps="$capabilities" --ambient-caps="$capabilities" "$@"' \
        > /usr/local/bin/as-ironwake \
    && chmod 0755 /usr/local/bin/as-ironwake

FROM service AS controller
COPY --from=controller-libraries /opt/ironwake /opt/ironwake
USER ironwake
CMD ["python", "-m", "ironwake_controller"]
HEALTHCHECK --interval=5s --timeout=5s --retries=24 \
    CMD ["python", "-m", "ironwake_runtime.probe", "http://127.0.0.1:8080/readyz"]

# The services below start as root, to take their capabilities along into uid 10001: `user:` with
# `cap_add:` would leave a process that is not root with none. Health checks go the same way: the
# kernel shows a process's files only to one that has its capabilities, too (ptrace(2)).
FROM service AS dhcp
COPY --from=dhcp-libraries /opt/ironwake /opt/ironwake
ENTRYPOINT ["as-ironwake", "+net_raw,+net_bind_service"]
CMD ["python", "-m", "ironwake_dhcp"]
HEALTHCHECK --interval=5s --timeout=5s --retries=24 \
    CMD test "$IRONWAKE_DHCP_MODE" = off || exec as-ironwake +net_raw,+net_bind_service \
        python -m ironwake_runtime.probe udp:${IRONWAKE_DHCP_PORT:-67}

FROM service AS tftp
COPY --from=tftp-libraries /opt/ironwake /opt/ironwake
ENTRYPOINT ["as-ironwake", "+net_raw,+net_bind_service"]
CMD ["python", "-m", "ironwake_tftp"]
HEALTHCHECK --interval=5s --timeout=5s --retries=24 \
    CMD exec as-ironwake +net_raw,+net_bind_service \
        python -m ironwake_runtime.probe udp:${IRONWAKE_TFTP_PORT:-69}

FROM service AS dns
COPY --from=dns-libraries /opt/ironwake /opt/ironwake
ENTRYPOINT ["as-ironwake", "+net_bind_service"]
CMD ["python", "-m", "ironwake_dns"]
HEALTHCHECK --interval=5s --timeout=5s --retries=24 \
    CMD exec as-ironwake +net_bind_service \
        python -m ironwake_runtime.probe udp:${IRONWAKE_DNS_PORT:-53}

FROM service AS http
COPY --from=http-libraries /opt/ironwake /opt/ironwake
ENTRYPOINT ["as-ironwake", "+net_bind_service"]
CMD ["python", "-m", "ironwake_http"]
HEALTHCHECK --interval=5s --timeout=5s --retries=24 \
    CMD exec as-ironwake +net_bind_service \
        python -m ironwake_runtime.probe tcp:${IRONWAKE_HTTP_PORT:-80}

FROM service AS packages
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends ca-certificates nginx \
    && rm -rf /var/lib/apt/lists/*
COPY --from=packages-libraries /opt/ironwake /opt/ironwake
USER ironwake
CMD ["python", "-m", "ironwake_runtime.packageserver"]
HEALTHCHECK --interval=5s --timeout=5s --retries=24 \
    CMD exec python -m ironwake_runtime.probe http://127.0.0.1:${IRONWAKE_PACKAGES_PORT:-3142}/healthz

# Builds media and imports images: needs the distribution's own tools, and root for the owners inside the archives.
FROM service AS imager
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends \
        ca-certificates cpio debian-archive-keyring dpkg-dev e2fsprogs gpgv kmod mmdebstrap \
        qemu-utils squashfs-tools xz-utils zstd \
    && rm -rf /var/lib/apt/lists/*
COPY --from=imager-libraries /opt/ironwake /opt/ironwake
ENTRYPOINT ["ironwake", "media"]
CMD ["--help"]
