#!/usr/bin/env bash
# Make the virtual environment: the locked packages, this package, and the collection where Ansible finds it.
# Usage: hack/setup.sh PYTHON FOLDER
set -euo pipefail
python=$1 venv=$2

if ! command -v "$python" >/dev/null; then
  echo "setup: $python is not there; install Python 3.11 or newer, or say which one: make PYTHON=/path/to/python3" >&2
  exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "setup: $("$python" --version) is too old; Python 3.11 or newer is needed: make PYTHON=/path/to/python3" >&2
  exit 1
fi

echo "setup: making $venv with $("$python" --version)"
"$python" -m venv "$venv"
echo "setup: installing the locked packages, which takes about a minute"
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/dev.txt

# This package and the collection, both as they are in this folder.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\n' "$PWD" >"$site/immich_operator_dev.pth"
mkdir -p "$site/ansible_collections/media"
ln -sfn "$PWD" "$site/ansible_collections/media/immich"
printf '#!/bin/sh\nexec "%s/bin/python" -m immich_operator "$@"\n' "$(realpath "$venv")" >"$venv/bin/immich-operator"
chmod +x "$venv/bin/immich-operator"

touch "$venv/.ready"
echo "setup: done"
