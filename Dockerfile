# The operator with its own runtime. Built from the lock files, for any uid of group 0, for a read-only root.
# Upstream's runtime with the same collection: Dockerfile.ansible-operator.
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285

FROM ${PYTHON_IMAGE} AS build
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && install -d /out/var/lib/dpkg/status.d /out/usr/share/doc/tini /out/usr/bin \
    && dpkg --status tini > /out/var/lib/dpkg/status.d/tini \
    && cp /usr/share/doc/tini/copyright /out/usr/share/doc/tini/ \
    && cp /usr/bin/tini /out/usr/bin/
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv --without-pip /opt/immich-operator \
    && python -m venv --without-pip /opt/build
# Ordered by how often they change: the packages of the lock file, what builds the wheel, the wheel.
COPY requirements/runtime.txt requirements/
RUN python -m pip --python /opt/immich-operator install --require-hashes --no-deps --no-compile \
        --requirement requirements/runtime.txt
COPY requirements/dev.txt requirements/
RUN awk '/^[a-z]/ {keep = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/} keep' \
        requirements/dev.txt > /tmp/build.txt \
    && python -m pip --python /opt/build install --require-hashes --requirement /tmp/build.txt
COPY . .
# Compiled here because the root is read-only later, and never checked again: the sources cannot change.
RUN /opt/build/bin/hatchling build --target wheel --directory /tmp/dist \
    && python -m pip --python /opt/immich-operator install --no-deps --no-index --no-compile /tmp/dist/*.whl \
    && python hack/image/slim.py /opt/immich-operator \
    && PYTHONHASHSEED=0 /opt/immich-operator/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/immich-operator/lib \
    && cd /opt/immich-operator \
    && ln -s lib/python3*/site-packages/ansible_collections/media/immich collection

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="immich-operator" \
      org.opencontainers.image.description="Runs Immich on Kubernetes; its engine is Ansible" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# An intruder in the container finds no package installer. The user exists for `id` and `ls`; any uid will do.
RUN find / -xdev \( -path '*/python3*/pip' -o -path '*/python3*/pip-*' -o -path '*/python3*/ensurepip' \) \
        -prune -exec rm -r {} + \
    && find / -xdev -path '*/bin/pip*' -delete \
    && echo 'immich-operator:x:1001:0:immich-operator:/var/lib/immich-operator:/sbin/nologin' >> /etc/passwd \
    && install -d -m 0770 -o 1001 -g 0 /var/lib/immich-operator
# tini, and what scanners and lists of parts look for: that it is there, and its license.
COPY --from=build /out /
COPY --from=build /opt/immich-operator /opt/immich-operator
# USER and LOGNAME: Ansible asks for the user's name, which a uid without a passwd entry does not have.
ENV HOME=/var/lib/immich-operator \
    USER=immich-operator \
    LOGNAME=immich-operator \
    PATH=/opt/immich-operator/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ANSIBLE_GATHERING=explicit \
    ANSIBLE_HOME=/var/lib/immich-operator/.ansible \
    ANSIBLE_LOCAL_TEMP=/var/lib/immich-operator/.ansible/tmp \
    ANSIBLE_REMOTE_TMP=/var/lib/immich-operator/.ansible/tmp \
    OPERATOR_RUN_DIR=/var/lib/immich-operator/run
# The collection: watches.yaml is here, and roles/ beside it.
WORKDIR /opt/immich-operator/collection
USER 1001:0
EXPOSE 6789 8443
ENTRYPOINT ["/usr/bin/tini", "--", "immich-operator", "run"]
