#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run tests with other releases of Python, ansible-core and the Kubernetes client than those of .venv.
# Usage: hack/matrix.sh [--all] [PYTHON:ANSIBLE_CORE[:CLIENT] ...] [-- ARGUMENTS OF PYTEST]
# ANSIBLE_CORE is a release such as 2.18, or `locked`: what the lock file has for that Python. CLIENT is a release of the
# package kubernetes, such as 33, beside `locked`. Without pairs: the oldest and the newest ansible-core, and the oldest
# client. With each of them run the tests with the mark every_core, and once for each Python, with what is locked, those
# with the mark every_python too; with another client, those with the mark every_client. None with the mark weekly.
# With --all, all tests run with each pair.
# A JUnit file per pair goes to JUNIT_FOLDER, if that is set.
set -euo pipefail
cd "$(dirname "$0")/.."

all=
if [[ ${1-} == --all ]]; then all=yes && shift; fi
pairs=()
while (($#)) && [[ $1 != -- ]]; do pairs+=("$1") && shift; done
(($#)) && shift
((${#pairs[@]})) || pairs=(3.11:2.18 3.13:locked 3.11:locked:33)

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

# The environment of a Python with all that is locked: .venv where that has this Python, else one made once in this run.
locked_for() { # PYTHON
  if [[ -x .venv/bin/python && $(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])') == "$1" ]]; then
    realpath .venv
    return
  fi
  local venv=$folder/$1-locked
  [[ -e $venv/.ready ]] || bash hack/setup.sh "$(find_python "$1")" "$venv" >&2
  echo "$venv"
}

# The same with other releases of packages: an environment that has nothing but these, on top of the first one.
with_others() { # LOCKED TARGET ARGUMENT OF PIP...
  local locked=$1 target=$2 site base
  shift 2
  "$locked/bin/python" -m venv --without-pip "$target"
  site=$("$target/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  base=$("$locked/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  "$locked/bin/pip" --python "$target/bin/python" install --quiet --disable-pip-version-check "$@"
  printf 'import site; site.addsitedir("%s")\n' "$base" >"$site/locked.pth"
  mkdir -p "$site/ansible_collections/media"
  ln -s "$PWD" "$site/ansible_collections/media/immich"
}

failed=()
for pair in "${pairs[@]}"; do
  IFS=: read -r version core client <<<"$pair"
  locked=$(locked_for "$version")
  venv=$locked
  others=()
  [[ $core == locked ]] || others+=(--no-deps "ansible-core==$core.*")
  # An older client needs packages that the newest one does not. A pair has another core or another client.
  [[ -z $client ]] || others=("kubernetes==$client.*")
  if ((${#others[@]})); then
    venv=$folder/${pair//:/-}
    with_others "$locked" "$venv" "${others[@]}"
  fi
  marks=every_core
  [[ $core == locked ]] && marks+=" or every_python"
  [[ -z $client ]] || marks=every_client
  marks="($marks) and not weekly"
  [[ -z $all ]] || marks=
  has=$("$venv/bin/python" -c 'from importlib.metadata import version as v; print(v("ansible-core"), "and kubernetes", v("kubernetes"))')
  echo "matrix: Python $version with ansible-core $has"
  PATH=$venv/bin:$locked/bin:$PATH ANSIBLE_HOME=$venv/ansible-home "$venv/bin/python" -m pytest \
    ${JUNIT_FOLDER:+--junitxml="$JUNIT_FOLDER/matrix-${pair//:/-}.xml"} ${marks:+-m "$marks"} "$@" ||
    failed+=("$pair")
done
if ((${#failed[@]})); then
  echo "matrix: tests failed with ${failed[*]}" >&2
  exit 1
fi
