#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the server's image runs when nobody says otherwise.
set -eu

case ${1:-} in
  immich | microservices)
    echo "start.sh: the argument $1 has no meaning since Immich 1.118; use IMMICH_WORKERS_INCLUDE" >&2
    exit 1
    ;;
esac
exec python3 -m stand_in.server
