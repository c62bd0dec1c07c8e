#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Make a stand-in for docker.io/library/python:3.13-slim-trixie from Debian packages, where no registry is at hand.
# It has what the Dockerfile relies on: `python` and `pip` of Python 3.13, apt, CA certificates.
#
#   hack/image/base.sh FILE      write the image as an OCI archive; done once, an existing file is left alone
#
# From the same packages it makes the same image: all is as old as SOURCE_DATE_EPOCH says, by default 2020-02-02.
#
# Needs root, mmdebstrap and buildah. DEBIAN_MIRROR names another mirror than mmdebstrap's own.
set -euo pipefail

target=${1:?usage: hack/image/base.sh FILE}
mirror=(${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"})
name=localhost/python:3.13-slim-trixie
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1580601600}

for program in mmdebstrap buildah; do
  if ! command -v "$program" >/dev/null; then
    echo "base.sh: $program is needed: apt-get install --no-install-recommends $program" >&2
    exit 1
  fi
done
if [[ -s $target ]]; then
  exit 0
fi

mkdir -p "$(dirname "$target")"
scratch=$(mktemp -d)
container=
clean_up() {
  if [[ -n $container ]]; then
    buildah rm "$container" >/dev/null
  fi
  rm -rf "$scratch"
}
trap clean_up EXIT

# The names `python` and `pip` are where the official image has them; tools that are in neither image's way are left out.
mmdebstrap --quiet --variant=minbase --components=main \
  --include=ca-certificates,python3,python3-pip,python3-venv \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --customize-hook='ln -s ../../bin/python3 "$1/usr/local/bin/python"' \
  --customize-hook='ln -s ../../bin/pip3 "$1/usr/local/bin/pip"' \
  trixie "$scratch/root.tar" "${mirror[@]}"

container=$(buildah from scratch)
buildah add --quiet "$container" "$scratch/root.tar" / >/dev/null
buildah config --env PATH=/usr/local/bin:/usr/bin:/bin --env LANG=C.UTF-8 --cmd python3 "$container"
buildah commit --quiet --timestamp "$SOURCE_DATE_EPOCH" "$container" "oci-archive:$scratch/image.tar:$name" >/dev/null
mv "$scratch/image.tar" "$target"
