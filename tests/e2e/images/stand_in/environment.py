# SPDX-License-Identifier: Apache-2.0
"""The environment variables of the server, checked as Immich checks them: all at once, before anything else happens.

Source: Immich v3.1.0, `server/src/dtos/env.dto.ts`, `server/src/repositories/config.repository.ts`, `server/bin/start.sh`.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

__all__ = ["InvalidEnvironment", "Problem", "QueueServer", "Settings", "read", "with_secrets_from_files"]

FROM_FILES = ("DB_URL", "DB_HOSTNAME", "DB_DATABASE_NAME", "DB_USERNAME", "DB_PASSWORD", "REDIS_PASSWORD")
"""Variables that NAME_FILE or a file NAME in CREDENTIALS_DIRECTORY can stand for."""

WORKERS = ("api", "microservices", "maintenance")
TELEMETRY = ("host", "api", "io", "repo", "job")
_FLAGS = {
    **dict.fromkeys(("true", "1", "yes", "y", "on", "enabled"), True),
    **dict.fromkeys(("false", "0", "no", "n", "off", "disabled"), False),
}
_PROXY_GROUPS = ("loopback", "linklocal", "uniquelocal")


class Problem(NamedTuple):
    """A variable that cannot be used, and why; holds no secret value."""

    name: str
    what: str


class InvalidEnvironment(Exception):  # noqa: N818 - reads as what it is
    """The server does not start with this environment."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.name} {problem.what}" for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueServer:
    """Where Valkey is. `socket` takes the place of host and port."""

    host: str
    port: int
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    socket: str | None = None
    ca: str | None = None
    """The certificates to trust, as PEM, if it speaks TLS; an empty text stands for those of the system."""
    server_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment says. `database` are the connection parameters of libpq."""

    version: str
    workers: frozenset[str]
    host: str | None
    port: int
    metrics: bool
    metrics_ports: Mapping[str, int]
    media_location: Path | None
    ignore_mount_errors: bool
    config_file: Path | None
    database: Mapping[str, Any] = field(repr=False)
    vector_extension: str | None
    skip_migrations: bool
    queues: QueueServer
    machine_learning_enabled: bool
    machine_learning_url: str


def with_secrets_from_files(env: Mapping[str, str]) -> dict[str, str]:
    """The environment with what stands in files filled in; InvalidEnvironment when a file cannot be read."""
    found = dict(env)
    problems = []
    folder = env.get("CREDENTIALS_DIRECTORY")
    for name in FROM_FILES:
        path = env.get(f"{name}_FILE")
        if not path and folder and Path(folder, name).is_file():
            path = str(Path(folder, name))
        if path:
            try:
                found[name] = Path(path).read_text(encoding="utf-8").rstrip("\n")
            except OSError as error:
                problems.append(Problem(f"{name}_FILE", f"names a file that cannot be read: {error.strerror}"))
    if problems:
        raise InvalidEnvironment(problems)
    return found


def read(env: Mapping[str, str]) -> Settings:
    """The settings in an environment; InvalidEnvironment with every problem in it."""
    reader = _Reader(env)
    reader.choice("IMMICH_ENV", ("production", "development", "testing"))
    reader.choice("IMMICH_LOG_LEVEL", ("verbose", "debug", "log", "warn", "error", "fatal"))
    reader.choice("IMMICH_LOG_FORMAT", ("console", "json"))
    reader.flag("IMMICH_ALLOW_SETUP", default=True)
    _check_proxies(reader)
    media = reader.text("IMMICH_MEDIA_LOCATION")
    if media and not media.startswith("/"):
        reader.refuse("IMMICH_MEDIA_LOCATION", "is not an absolute path")
    config_file = reader.text("IMMICH_CONFIG_FILE")
    settings = Settings(
        version=reader.text("IMMICH_SOURCE_REF") or "v0.0.0",
        workers=_workers(reader),
        host=reader.text("IMMICH_HOST"),
        port=reader.number("IMMICH_PORT", 2283),
        metrics=_telemetry(reader),
        metrics_ports={
            "api": reader.number("IMMICH_API_METRICS_PORT", 8081),
            "microservices": reader.number("IMMICH_MICROSERVICES_METRICS_PORT", 8082),
        },
        media_location=Path(media) if media else None,
        ignore_mount_errors=reader.flag("IMMICH_IGNORE_MOUNT_CHECK_ERRORS"),
        config_file=Path(config_file) if config_file else None,
        database=_database(reader),
        vector_extension=reader.choice("DB_VECTOR_EXTENSION", ("vectorchord", "pgvector")),
        skip_migrations=reader.flag("DB_SKIP_MIGRATIONS"),
        queues=_queues(reader),
        machine_learning_enabled=env.get("IMMICH_MACHINE_LEARNING_ENABLED") != "false",
        machine_learning_url=reader.text("IMMICH_MACHINE_LEARNING_URL") or "http://immich-machine-learning:3003",
    )
    if reader.problems:
        raise InvalidEnvironment(reader.problems)
    return settings


class _Reader:
    """Takes values out of an environment and gathers what is wrong with them."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.problems: list[Problem] = []

    def refuse(self, name: str, what: str) -> None:
        self.problems.append(Problem(name, what))

    def text(self, name: str) -> str | None:
        return self._env.get(name) or None

    def words(self, name: str) -> list[str]:
        return [word.strip() for word in self._env.get(name, "").split(",") if word.strip()]

    def number(self, name: str, default: int) -> int:
        value = self._env.get(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit()) or int(value) > 65535:
            # Services named db, redis or immich do this, through the variables for service links: tcp://10.96.3.4:5432
            self.refuse(name, f"is {value!r}, not a number from 0 to 65535")
            return default
        return int(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self._env.get(name)
        if value is None:
            return default
        if value.lower() not in _FLAGS:
            self.refuse(name, f"is {value!r}, neither true nor false")
        return _FLAGS.get(value.lower(), default)

    def choice(self, name: str, options: tuple[str, ...]) -> str | None:
        value = self._env.get(name)
        if value is not None and value not in options:
            self.refuse(name, f"is {value!r}, not one of {', '.join(options)}")
        return value


def _check_proxies(reader: _Reader) -> None:
    for word in reader.words("IMMICH_TRUSTED_PROXIES"):
        if word not in _PROXY_GROUPS:
            try:
                ipaddress.ip_network(word, strict=False)
            except ValueError:
                reader.refuse("IMMICH_TRUSTED_PROXIES", f"has {word!r}, which is no address and no network")


def _workers(reader: _Reader) -> frozenset[str]:
    for name in ("IMMICH_WORKERS_INCLUDE", "IMMICH_WORKERS_EXCLUDE"):
        for worker in reader.words(name):
            if worker not in WORKERS:
                reader.refuse(name, f"has {worker!r}, not one of {', '.join(WORKERS)}")
    included = reader.words("IMMICH_WORKERS_INCLUDE") or ["api", "microservices"]
    workers = frozenset(included) - frozenset(reader.words("IMMICH_WORKERS_EXCLUDE"))
    if not workers:
        reader.refuse("IMMICH_WORKERS_EXCLUDE", "leaves no worker over")
    return workers


def _telemetry(reader: _Reader) -> bool:
    kept = set(TELEMETRY)
    for name in ("IMMICH_TELEMETRY_INCLUDE", "IMMICH_TELEMETRY_EXCLUDE"):
        words = reader.words(name)
        for word in words:
            if word not in (*TELEMETRY, "all"):
                reader.refuse(name, f"has {word!r}, not one of all, {', '.join(TELEMETRY)}")
        listed = set(TELEMETRY) if "all" in words else set(words)
        kept = listed if name.endswith("INCLUDE") else kept - listed
    return bool(kept)


def _database(reader: _Reader) -> dict[str, Any]:
    mode = reader.choice("DB_SSL_MODE", ("disable", "allow", "prefer", "require", "verify-full"))
    port = reader.number("DB_PORT", 5432)
    url = reader.text("DB_URL")
    if not url:
        return {
            "host": reader.text("DB_HOSTNAME") or "database",
            "port": port,
            "user": reader.text("DB_USERNAME") or "postgres",
            "password": reader.text("DB_PASSWORD") or "postgres",
            "dbname": reader.text("DB_DATABASE_NAME") or "immich",
            "sslmode": mode or "disable",
        }
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        reader.refuse("DB_URL", "is not a URL that begins with postgresql://")
        return {}
    # Immich's driver speaks TLS only when it is told to, and knows two things that libpq does not.
    options = {"sslmode": "disable", **dict(parse_qsl(parts.query))}
    options.pop("uselibpqcompat", None)
    if options["sslmode"] == "no-verify":
        options["sslmode"] = "require"
    return {"dsn": urlunsplit(parts._replace(query=urlencode(options)))}


def _queues(reader: _Reader) -> QueueServer:
    index = reader.number("REDIS_DBINDEX", 0)
    port = reader.number("REDIS_PORT", 6379)
    url = reader.text("REDIS_URL") or ""
    if url.startswith("ioredis://"):
        options = _connection_options(reader, url.removeprefix("ioredis://"))
        tls = options.get("tls")
        return QueueServer(
            ca=None if tls is None else tls.get("ca", ""),
            server_name=(tls or {}).get("servername"),
            host=str(options.get("host") or "localhost"),
            port=int(options.get("port") or 6379),
            database=int(options.get("db") or 0),
            username=options.get("username"),
            password=options.get("password"),
            socket=options.get("path"),
        )
    # Any other kind of URL is passed over without a word, in Immich too.
    return QueueServer(
        host=reader.text("REDIS_HOSTNAME") or "redis",
        port=port,
        database=index,
        username=reader.text("REDIS_USERNAME"),
        password=reader.text("REDIS_PASSWORD"),
        socket=reader.text("REDIS_SOCKET"),
    )


def _connection_options(reader: _Reader, encoded: str) -> dict[str, Any]:
    try:
        options = json.loads(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        options = None
    if not isinstance(options, dict):
        reader.refuse("REDIS_URL", "is not ioredis:// and a JSON object in base64")
        return {}
    if "sentinels" in options:
        reader.refuse("REDIS_URL", "asks for sentinels, which only Immich itself can do, not this stand-in")
    return options
