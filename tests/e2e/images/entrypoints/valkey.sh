#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Starts Valkey as its own image does: the user valkey, the data in the working directory, reachable from other pods.
set -eu

case ${1:-} in
  -* | *.conf) set -- valkey-server "$@" ;;
esac
if [ "${1:-}" != valkey-server ]; then
  exec "$@"
fi
if [ "$(id -u)" = 0 ]; then
  find . ! -user valkey -exec chown valkey {} +
  exec setpriv --reuid=valkey --regid=valkey --clear-groups "$0" "$@"
fi
umask 0077

# The image's own build has the protected mode off by default; with it only local clients would be served.
case " $* " in
  *" --protected-mode "*) ;;
  *) set -- "$@" --protected-mode no ;;
esac
# shellcheck disable=SC2086 # several flags in one variable
exec "$@" ${VALKEY_EXTRA_FLAGS:-}
