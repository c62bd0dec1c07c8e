#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build an image of the operator with buildah, with no registry: on a stand-in for each base image, unless
# PYTHON_IMAGE (and ANSIBLE_OPERATOR_IMAGE) name others.
#
#   hack/image/build.sh IMAGE [FILE]    also write the image to FILE, an OCI archive, as `ctr images import` reads it
#
# The same files on the same base make the same image: all is as old as SOURCE_DATE_EPOCH says, by default as the commit.
# REVISION names the commit where there is no git. NO_CACHE=1 uses no layer of an earlier build.
#
# DOCKERFILE is Dockerfile, or Dockerfile.ansible-operator, whose stand-in shows where files end up and runs nothing.
# Needs root and what base.sh needs. Kept between builds: ~/.cache/immich-operator/images (IMAGE_CACHE).
set -euo pipefail
cd "$(dirname "$0")/../.."

image=${1:?usage: hack/image/build.sh IMAGE [FILE]}
archive=${2:-}
dockerfile=${DOCKERFILE:-Dockerfile}
cache=${IMAGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/immich-operator/images}
authorities=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
revision=${REVISION:-$(git rev-parse --verify --quiet HEAD || echo unknown)}
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1580601600)}
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' immich_operator/__init__.py)

pull=()
caching=(${NO_CACHE:+--no-cache})
if [[ -z ${PYTHON_IMAGE:-} ]]; then
  hack/image/base.sh "$cache/python-base.tar"
  PYTHON_IMAGE="oci-archive:$cache/python-base.tar"
  pull=(--pull-never)
fi
arguments=(--build-arg "PYTHON_IMAGE=$PYTHON_IMAGE" --build-arg "VERSION=$version" --build-arg "REVISION=$revision")
if [[ $dockerfile != Dockerfile ]]; then
  arguments+=(--build-arg "ANSIBLE_OPERATOR_IMAGE=${ANSIBLE_OPERATOR_IMAGE:-$PYTHON_IMAGE}")
fi

# chroot: no namespaces or cgroups are needed. The bundle of this machine's authorities is all that pip wants of it.
buildah bud --quiet --isolation chroot --layers "${caching[@]}" "${pull[@]}" --timestamp "$epoch" \
  --volume "$authorities:/etc/ssl/certs/ca-certificates.crt:ro" \
  "${arguments[@]}" --file "$dockerfile" --tag "$image" .

if [[ -n $archive ]]; then
  mkdir -p "$(dirname "$archive")"
  rm -f "$archive"
  buildah push --quiet "$image" "oci-archive:$archive:$image"
fi
