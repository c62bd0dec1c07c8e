#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run what depends on the releases of Python and ansible-core (unit and engine tests) with the oldest and the newest of both.
# Further arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

# Python:ansible-core; "locked" is what the lock file has for that Python
pairs=(3.11:2.18 3.13:locked)

find_python() {
  local candidate
  for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
    if "$candidate" --version >/dev/null 2>&1; then
      echo "$candidate"
      return
    fi
  done
  echo "matrix: Python $1 is not there; install it, as python$1 in PATH or with pyenv" >&2
  return 1
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for pair in "${pairs[@]}"; do
  version=${pair%:*} core=${pair#*:} venv=$folder/${pair/:/-}
  python=$(find_python "$version")
  bash hack/setup.sh "$python" "$venv"
  if [[ $core != locked ]]; then
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "ansible-core==$core.*"
  fi
  echo "matrix: Python $version with ansible-core $("$venv/bin/python" -c 'import ansible.release as r; print(r.__version__)')"
  PATH=$venv/bin:$PATH ANSIBLE_HOME=$venv/ansible-home "$venv/bin/python" -m pytest tests/unit tests/integration/engine "$@"
done
