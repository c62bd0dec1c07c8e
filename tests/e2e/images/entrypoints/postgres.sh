#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Starts PostgreSQL as the images of PostgreSQL and Immich do: the same variables, user, folders and order of steps.
# A database is made only where PGDATA holds none, and only then are name, user and password looked at.
set -Eeuo pipefail

fail() {
  echo "entrypoint: $*" >&2
  exit 1
}

# setting NAME DEFAULT: NAME comes from itself, else from the file that NAME_FILE names, else it is the default.
setting() {
  local name=$1 file="${1}_FILE"
  if [[ -n ${!name:-} && -n ${!file:-} ]]; then
    fail "$name and $file are both set; use one of them"
  elif [[ -n ${!file:-} ]]; then
    export "$name"="$(<"${!file}")"
  elif [[ -z ${!name:-} ]]; then
    export "$name"="$2"
  fi
  unset "$file"
}

# Immich's image chooses its settings by the kind of disk. A read-only root needs a volume at /etc/postgresql for this.
write_configuration() {
  cp /var/postgresql-conf-tpl/postgresql.conf /etc/postgresql/postgresql.conf
  case ${DB_STORAGE_TYPE:-SSD} in
    SSD) printf '%s\n' 'effective_io_concurrency = 200' 'random_page_cost = 1.2' >>/etc/postgresql/postgresql.conf ;;
    HDD) ;;
    *) fail "DB_STORAGE_TYPE is SSD or HDD, not $DB_STORAGE_TYPE" ;;
  esac
}

prepare_folders() {
  mkdir -p "$PGDATA"
  # Both may belong to somebody else and be right all the same.
  chmod 700 "$PGDATA" 2>/dev/null || true
  chmod 3775 /var/run/postgresql 2>/dev/null || true
  if [[ $(id -u) == 0 ]]; then
    find "$PGDATA" /var/run/postgresql ! -user postgres -exec chown postgres {} +
  fi
}

check_password() {
  if [[ -z $POSTGRES_PASSWORD && ${POSTGRES_HOST_AUTH_METHOD:-} != trust ]]; then
    fail "a new database needs a password for its superuser: set POSTGRES_PASSWORD to something that is not empty"
  fi
}

make_database() {
  local -a more
  eval "more=(${POSTGRES_INITDB_ARGS:-})" # quotes in it count, as in a shell
  initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") "${more[@]}"
  printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
}

run_sql() {
  PGPASSWORD=$POSTGRES_PASSWORD psql --no-psqlrc --no-password --quiet --set=ON_ERROR_STOP=1 \
    --username="$POSTGRES_USER" "$@"
}

# On the socket only: nobody outside may take a database for ready that is still being set up.
start_temporary_server() {
  local options
  options=$(printf '%q ' "$@" -c listen_addresses=)
  pg_ctl --pgdata="$PGDATA" --options="$options" --wait start
}

fill_database() {
  local file
  run_sql --dbname=postgres --set=name="$POSTGRES_DB" <<'SQL'
select format('create database %I', :'name')
where not exists (select from pg_database where datname = :'name')
\gexec
SQL
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sh) if [[ -x $file ]]; then "$file"; else source "$file"; fi ;;
      *.sql) run_sql --dbname="$POSTGRES_DB" --file="$file" ;;
      *.sql.gz) gunzip --stdout "$file" | run_sql --dbname="$POSTGRES_DB" ;;
      *) continue ;;
    esac
    echo "entrypoint: ran $file"
  done
}

if [[ ${1:-} == -* ]]; then
  set -- postgres "$@"
fi
if [[ ${1:-} != postgres || " $* " =~ ' '(-\?|--help|-V|--version|--describe-config)' ' ]]; then
  exec "$@"
fi

setting POSTGRES_USER "${DB_USERNAME:-postgres}"
setting POSTGRES_PASSWORD "${DB_PASSWORD:-}"
setting POSTGRES_DB "${DB_DATABASE_NAME:-$POSTGRES_USER}"
setting POSTGRES_INITDB_ARGS ""
prepare_folders
if [[ $(id -u) == 0 ]]; then
  exec env HOME=/var/lib/postgresql setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
write_configuration
if [[ -s $PGDATA/PG_VERSION ]]; then
  echo "entrypoint: $PGDATA holds a database already, which is left as it is"
else
  check_password
  make_database
  start_temporary_server "${@:2}"
  fill_database
  pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
  echo "entrypoint: the new database is complete"
fi
exec "$@"
