# SPDX-License-Identifier: Apache-2.0
"""What the server does with PostgreSQL. The order at the start, the locks and most names are Immich's (v3.1.0,
`server/src/services/database.service.ts`, `server/src/repositories/database.repository.ts`)."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2  # type: ignore[import-untyped]
import psycopg2.errors  # type: ignore[import-untyped]
import psycopg2.extensions  # type: ignore[import-untyped]

__all__ = ["Asset", "Database", "DatabaseError", "Unusable"]

DatabaseError = psycopg2.Error

_VECTOR_EXTENSIONS = {"vectorchord": "vchord", "pgvector": "vector"}
_OTHER_EXTENSIONS = ("uuid-ossp", "unaccent", "cube", "earthdistance", "pg_trgm")
_INDEX_KINDS = {"vchord": "vchordrq", "vector": "hnsw"}
_LOCKS = {"migrations": 200, "system file mounts": 300, "version history": 500}
_DIMENSIONS = 512

# server_start is not Immich's: it has a row for each start, so that a test can count them.
_TABLES = f"""
create table if not exists system_metadata (key varchar primary key, value jsonb not null);
create table if not exists version_history (
    id uuid primary key default uuid_generate_v4(),
    "createdAt" timestamptz not null default now(),
    version varchar not null
);
create table if not exists server_start (
    id bigint generated always as identity primary key,
    "startedAt" timestamptz not null default now(),
    version varchar not null,
    host varchar not null
);
create table if not exists asset (
    id uuid primary key default uuid_generate_v4(),
    "createdAt" timestamptz not null default now(),
    "originalFileName" varchar not null,
    "originalPath" varchar not null,
    "fileSizeInByte" bigint not null,
    checksum bytea not null unique
);
create table if not exists smart_search (
    "assetId" uuid primary key references asset (id) on delete cascade,
    embedding vector({_DIMENSIONS}) not null
);
create table if not exists asset_file (
    "assetId" uuid not null references asset (id) on delete cascade,
    type varchar not null,
    path varchar not null,
    primary key ("assetId", type)
);
"""
_ASSETS = 'select id::text, "originalFileName", "originalPath", "fileSizeInByte", checksum, "createdAt" from asset'


class Unusable(Exception):  # noqa: N818 - reads as what it is
    """The database is there, but Immich cannot work with it."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A row of the table asset. `checksum` is the SHA-1 of the content."""

    id: str
    file_name: str
    path: str
    size: int
    checksum: bytes
    created_at: str


class Database:
    """Connects anew for each use, so that it is well again as soon as the server is."""

    def __init__(self, parameters: Mapping[str, Any], timeout_s: int = 3) -> None:
        self._parameters = {**parameters, "connect_timeout": timeout_s, "application_name": "immich-stand-in"}

    @contextmanager
    def _cursor(self) -> Iterator[psycopg2.extensions.cursor]:
        """One transaction."""
        with closing(psycopg2.connect(**self._parameters)) as connection, connection, connection.cursor() as cursor:
            yield cursor

    @contextmanager
    def _locked(self, purpose: str) -> Iterator[psycopg2.extensions.cursor]:
        """One transaction that no other server runs at the same time."""
        with self._cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(%s)", (_LOCKS[purpose],))
            yield cursor

    def prepare(self, wanted_extension: str | None, *, skip_migrations: bool) -> str:
        """Make extensions and tables where they are missing; Unusable when that cannot be. Returns what was found."""
        with self._locked("migrations") as cursor:
            version = cursor.connection.server_version
            if version < 140000:
                raise Unusable(f"PostgreSQL {version // 10000} is too old, 14 is the least")
            extension = _choose_extension(cursor, wanted_extension)
            for name in (extension, *_OTHER_EXTENSIONS):
                _create_extension(cursor, name)
            if not skip_migrations:
                cursor.execute(_TABLES)
                cursor.execute(
                    f"create index if not exists clip_index on smart_search"
                    f" using {_INDEX_KINDS[extension]} (embedding vector_cosine_ops)"
                )
        return f"PostgreSQL {version // 10000} with {extension}"

    @contextmanager
    def mount_checks(self) -> Iterator[dict[str, bool]]:
        """Which folders have had a mark so far; what is changed in the mapping is kept, unless there is an error."""
        with self._locked("system file mounts") as cursor:
            cursor.execute("select value -> 'mountChecks' from system_metadata where key = 'system-flags'")
            row = cursor.fetchone()
            known: dict[str, bool] = (row[0] if row else None) or {}
            yield known
            cursor.execute(
                "insert into system_metadata values ('system-flags', %s)"
                " on conflict (key) do update set value = excluded.value",
                (json.dumps({"mountChecks": known}),),
            )

    def remember_start(self, version: str) -> None:
        """A row for this start, and one for the version when it is another than the last."""
        with self._locked("version history") as cursor:
            cursor.execute("insert into server_start (version, host) values (%s, %s)", (version, socket.gethostname()))
            cursor.execute('select version from version_history order by "createdAt" desc limit 1')
            row = cursor.fetchone()
            if row is None or row[0] != version:
                cursor.execute("insert into version_history (version) values (%s)", (version,))

    def starts(self) -> int:
        """How often a server has started with this database."""
        with self._cursor() as cursor:
            cursor.execute("select count(*) from server_start")
            return int(_one(cursor)[0])

    def versions(self) -> list[dict[str, str]]:
        """The versions that have run on this database, the newest first."""
        with self._cursor() as cursor:
            cursor.execute('select id::text, version, "createdAt" from version_history order by "createdAt" desc')
            return [{"id": row[0], "version": row[1], "createdAt": row[2].isoformat()} for row in cursor]

    def assets(self) -> list[Asset]:
        """All assets, the oldest first."""
        with self._cursor() as cursor:
            cursor.execute(_ASSETS + ' order by "createdAt", id')
            return [_asset(row) for row in cursor]

    def asset(self, asset_id: str) -> Asset | None:
        """One asset, None when there is no such."""
        with self._cursor() as cursor:
            cursor.execute(_ASSETS + " where id::text = %s", (asset_id,))
            row = cursor.fetchone()
            return _asset(row) if row else None

    def asset_with(self, checksum: bytes) -> Asset | None:
        """The asset with this content, None when there is none."""
        with self._cursor() as cursor:
            cursor.execute(_ASSETS + " where checksum = %s", (checksum,))
            row = cursor.fetchone()
            return _asset(row) if row else None

    def add_asset(self, asset_id: str, file_name: str, path: str, size: int, checksum: bytes) -> None:
        """Add a row, and a vector made of the checksum, so that there is something to search, dump and restore."""
        numbers = [checksum[place % len(checksum)] for place in range(_DIMENSIONS)]
        with self._cursor() as cursor:
            cursor.execute(
                'insert into asset (id, "originalFileName", "originalPath", "fileSizeInByte", checksum)'
                " values (%s, %s, %s, %s, %s)",
                (asset_id, file_name, path, size, checksum),
            )
            cursor.execute("insert into smart_search values (%s, %s)", (asset_id, json.dumps(numbers)))

    def files(self, kind: str) -> dict[str, str]:
        """{asset: path} of what was made of the originals, such as "thumbnail": by the rows, whatever is on the volume."""
        with self._cursor() as cursor:
            cursor.execute('select "assetId"::text, path from asset_file where type = %s', (kind,))
            return {row[0]: row[1] for row in cursor}

    def add_file(self, asset_id: str, kind: str, path: str) -> None:
        """Add a row for what was made of an original, or put another in its place."""
        with self._cursor() as cursor:
            cursor.execute(
                'insert into asset_file ("assetId", type, path) values (%s, %s, %s)'
                ' on conflict ("assetId", type) do update set path = excluded.path',
                (asset_id, kind, path),
            )


def _choose_extension(cursor: psycopg2.extensions.cursor, wanted: str | None) -> str:
    """The one asked for, else VectorChord where it is available, else pgvector."""
    cursor.execute("select name from pg_available_extensions")
    available = {row[0] for row in cursor}
    candidates = [_VECTOR_EXTENSIONS[wanted]] if wanted else list(_VECTOR_EXTENSIONS.values())
    for extension in candidates:
        if extension in available:
            return extension
    raise Unusable(f"the database has no vector extension: {' or '.join(candidates)} is needed")


def _create_extension(cursor: psycopg2.extensions.cursor, name: str) -> None:
    try:
        cursor.execute(f'create extension if not exists "{name}" cascade')
    except psycopg2.errors.InsufficientPrivilege as error:
        raise Unusable(
            f"the user may not create the extension {name}; "
            f'let a superuser run: CREATE EXTENSION IF NOT EXISTS "{name}" CASCADE;'
        ) from error


def _one(cursor: psycopg2.extensions.cursor) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = cursor.fetchone()
    if row is None:
        raise Unusable("a row is missing that must be there")
    return row


def _asset(row: tuple[Any, ...]) -> Asset:
    return Asset(row[0], row[1], row[2], row[3], bytes(row[4]), row[5].isoformat())
