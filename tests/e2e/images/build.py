# SPDX-License-Identifier: Apache-2.0
"""Images for the pods of an instance, made of Debian packages under the names that the operator uses.

    python tests/e2e/images/build.py      make them, unless they are there, and print NAME ARCHIVE

All images are the same small Debian with a little on top, so they are in one archive and share its largest layer.
README.md says what is real in them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from ansible_collections.media.immich.plugins.plugin_utils.spec.images import release_of
from ansible_collections.media.immich.plugins.plugin_utils.spec.immich_settings_schema import IMMICH_SETTINGS, SINCE
from localcluster import processes
from localcluster.errors import LocalClusterError
from localcluster.images.archive import Entry, Image, architecture, file, folder, hidden, replacing, write, write_layer
from localcluster.locks import locked
from localcluster.programs import cache_folder
from localcluster.progress import Progress

__all__ = ["NEXT_SERVER", "ImageError", "ensure", "setting_kinds"]

HERE = Path(__file__).parent
KEEP_S = 24 * 3600
"""Archives of other work trees may be in use; after a day without use they go."""

SUITE = "trixie"
PACKAGES = (
    "postgresql-17",
    "postgresql-17-pgvector",
    "python3",
    "python3-psycopg2",
    "python3-yaml",
    "tini",
    "valkey-server",
)
# Both images have a user 999 for their server. No cluster is made: the entrypoint does that, where the volume is.
PREPARE = """
echo 'postgres:x:999:999::/var/lib/postgresql:/bin/bash' >>"$1/etc/passwd"
echo 'valkey:x:999:999::/data:/bin/sh' >>"$1/etc/passwd"
echo 'postgres:x:999:' >>"$1/etc/group"
echo 'valkey:x:999:' >>"$1/etc/group"
mkdir -p "$1/etc/postgresql-common/createcluster.d"
echo 'create_main_cluster = false' >"$1/etc/postgresql-common/createcluster.d/none.conf"
"""
# A new database listens on all addresses, whatever settings it is then started with. The perl of Debian's wrappers is
# needed while packages are set up, and never again.
FINISH = """
sed -i "s/^#listen_addresses = .*/listen_addresses = '*'/" "$1"/usr/share/postgresql/17/postgresql.conf.sample
rm -rf "$1"/usr/share/perl "$1"/usr/lib/*-linux-gnu/perl "$1"/var/lib/apt/lists/*
"""
# Compilation of queries by LLVM would be 200 MB; PostgreSQL does without when it finds no llvmjit.so.
LEFT_OUT = (
    *(f"/usr/share/{name}/*" for name in ("doc", "i18n", "info", "locale", "man")),
    *(f"/usr/lib/*-linux-gnu/{name}" for name in ("gconv/*", "libLLVM*", "libz3*")),
    *(f"/usr/lib/postgresql/*/lib/{name}*" for name in ("bitcode/", "llvmjit")),
)

BIN = "usr/local/bin"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POSTGRES_BIN = "/usr/lib/postgresql/17/bin"
PYTHON = ("PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1", "PYTHONPATH=/usr/src/app")
# What the images of the same name lack, so that nothing comes to rely on it.
NO_PYTHON = tuple(hidden(f"usr/bin/{name}") for name in ("python3", "python3.13"))
NO_POSTGRES = (hidden(POSTGRES_BIN.removeprefix("/")), *(hidden(f"usr/bin/{name}") for name in ("psql", "pg_dump")))
NO_VALKEY = tuple(hidden(f"usr/bin/valkey-{name}") for name in ("cli", "server"))


class ImageError(LocalClusterError):
    """The images cannot be made."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image: `entries` come on top of Debian."""

    name: str
    config: Mapping[str, Any]
    entries: tuple[Entry, ...]


def _next_version(image: str) -> str:
    """NAME:v3.3.1 -> NAME:v3.3.2"""
    start, _, patch = image.rpartition(".")
    return f"{start}.{int(patch) + 1}"


NEXT_SERVER = _next_version(DEFAULT_IMAGES["server"])
"""The server's image once more, which calls itself the next version: for updates."""


def setting_kinds() -> dict[str, Any]:
    """What Immich accepts for each key of its configuration, as the stand-in reads it."""
    release = release_of(DEFAULT_IMAGES["server"])
    return {path: _described(kind) for path, kind in IMMICH_SETTINGS.items() if SINCE.get(path, release) <= release}


def _described(value: Any) -> Any:
    if is_dataclass(value):
        return {"kind": type(value).__name__, **{f.name: _described(getattr(value, f.name)) for f in fields(value)}}
    return value


def _recipes() -> Iterator[Recipe]:
    # There is none for data of PostgreSQL 14, because Debian has one major version only.
    yield Recipe(
        DEFAULT_IMAGES["postgres"],
        {
            "Entrypoint": ["docker-entrypoint.sh"],
            "Cmd": ["postgres", "-c", "config_file=/etc/postgresql/postgresql.conf"],
            "Env": [f"PATH={POSTGRES_BIN}:{PATH}", "LANG=C.UTF-8", "PGDATA=/var/lib/postgresql/data"],
            "ExposedPorts": {"5432/tcp": {}},
            "StopSignal": "SIGINT",
            "Volumes": {"/var/lib/postgresql/data": {}},
        },
        (
            _copied("entrypoints/postgres.sh", f"{BIN}/docker-entrypoint.sh"),
            _copied("entrypoints/postgresql.conf", "var/postgresql-conf-tpl/postgresql.conf"),
            folder("docker-entrypoint-initdb.d"),
            folder("etc/postgresql", mode=0o1777, owner=999),
            folder("run/postgresql", mode=0o3777, owner=999),
            folder("var/lib/postgresql/data", mode=0o1777, owner=999),
            *NO_PYTHON,
            *NO_VALKEY,
        ),
    )
    yield Recipe(
        DEFAULT_IMAGES["valkey"],
        {
            "Entrypoint": ["docker-entrypoint.sh"],
            "Cmd": ["valkey-server"],
            "Env": [f"PATH={PATH}"],
            "ExposedPorts": {"6379/tcp": {}},
            "Volumes": {"/data": {}},
            "WorkingDir": "/data",
        },
        (
            _copied("entrypoints/valkey.sh", f"{BIN}/docker-entrypoint.sh"),
            folder("data", owner=999),
            hidden("usr/bin/bash"),
            *NO_PYTHON,
            *NO_POSTGRES,
        ),
    )
    program = (*_program(), folder("data"), folder("cache"))
    for name in (DEFAULT_IMAGES["server"], NEXT_SERVER):
        yield Recipe(
            name,
            {
                "Entrypoint": ["tini", "--", "/bin/bash", "-c"],
                "Cmd": ["start.sh"],
                "Env": [
                    f"PATH={POSTGRES_BIN}:{PATH}:/usr/src/app/bin",
                    *PYTHON,
                    "NODE_ENV=production",
                    f"IMMICH_SOURCE_REF={name.rpartition(':')[2]}",
                ],
                "ExposedPorts": {"2283/tcp": {}},
                "Volumes": {"/data": {}},
                "WorkingDir": "/usr/src/app",
            },
            (*program, *NO_VALKEY),
        )
    yield Recipe(
        DEFAULT_IMAGES["machine-learning"],
        {
            "Entrypoint": ["tini", "--"],
            "Cmd": ["python3", "-m", "stand_in.machine_learning"],
            "Env": [f"PATH={PATH}", *PYTHON, "MACHINE_LEARNING_CACHE_FOLDER=/cache"],
            "ExposedPorts": {"3003/tcp": {}},
            "WorkingDir": "/usr/src/app",
        },
        (*program, *NO_POSTGRES, *NO_VALKEY),
    )


def _program() -> Iterator[Entry]:
    yield _copied("entrypoints/start.sh", "usr/src/app/bin/start.sh")
    for path in sorted((HERE / "stand_in").glob("*.py")):
        yield _copied(f"stand_in/{path.name}", f"usr/src/app/stand_in/{path.name}")
    kinds = json.dumps(setting_kinds(), indent=1)
    yield file("usr/src/app/stand_in/settings.json", kinds.encode())


def _copied(source: str, target: str) -> Entry:
    content = (HERE / source).read_bytes()
    return file(target, content, mode=0o755 if source.endswith(".sh") else 0o644)


def ensure(progress: Progress) -> dict[str, Path]:
    """{name of an image: archive that `ctr images import` reads}; made when it is not there, which takes a minute.

    One archive holds several images. ImageError when they cannot be made.
    """
    recipes = list(_recipes())
    base = cache_folder() / "images" / f"debian-{architecture()}-{_key(_debian_command('TARGET'))}.tar"
    target = base.with_name(f"e2e-{architecture()}-{_key(base.name, *map(_contents, recipes))}.tar")
    if not target.is_file():
        with locked(base.with_name("e2e.lock"), on_wait=lambda: progress.say("Waiting for images in the making ...")):
            if not target.is_file():
                _make(recipes, base, target, progress)
    os.utime(target)
    return {recipe.name: target for recipe in recipes}


def _key(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _contents(recipe: Recipe) -> list[Any]:
    entries = [[entry.info.tobuf().hex(), hashlib.sha256(entry.content).hexdigest()] for entry in recipe.entries]
    return [recipe.name, recipe.config, entries]


def _make(recipes: list[Recipe], base: Path, target: Path, progress: Progress) -> None:
    if not base.is_file():
        _make_debian(base, progress)
    progress.say("Writing the images ...")
    with tempfile.TemporaryDirectory(prefix=".making-", dir=target.parent) as scratch:
        images = []
        for number, recipe in enumerate(recipes):
            layer = Path(scratch) / f"{number}.tar"
            write_layer(layer, recipe.entries)
            images.append(Image(recipe.name, recipe.config, (base, layer)))
        write(target, images)
    for old in (*target.parent.glob("e2e-*.tar"), *target.parent.glob("debian-*.tar")):
        if old not in (base, target) and old.stat().st_mtime < time.time() - KEEP_S:
            old.unlink()


def _make_debian(target: Path, progress: Progress) -> None:
    problems = []
    if os.geteuid() != 0:
        problems.append("root is needed, to make files of other users: run the same command as root")
    if shutil.which("mmdebstrap") is None:
        problems.append("mmdebstrap is not there: apt-get install --no-install-recommends mmdebstrap")
    if problems:
        raise ImageError("The images for end-to-end tests cannot be made:\n" + "\n".join(f"  - {p}" for p in problems))
    log = target.with_suffix(".log")
    with replacing(target) as scratch:
        with log.open("wb") as stream:
            command = _debian_command(str(scratch))
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT)
            try:
                returncode = progress.watch("Making a small Debian for the images", process)
            except BaseException:
                process.terminate()
                process.wait()
                raise
        if returncode != 0:
            raise ImageError(
                f"mmdebstrap failed with status {returncode}. DEBIAN_MIRROR names another mirror than its own.\n"
                f"End of its log {log}:\n{processes.tail(log)}"
            )
    log.unlink()


def _debian_command(target: str) -> list[str]:
    mirror = os.environ.get("DEBIAN_MIRROR")
    return [
        *("mmdebstrap", "--variant=minbase", "--components=main", f"--include={','.join(PACKAGES)}"),
        *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT),
        *(f"--essential-hook={PREPARE}", f"--customize-hook={FINISH}"),
        *(SUITE, target),
        *([mirror] if mirror else []),
    ]


def main() -> int:
    try:
        for name, path in ensure(Progress()).items():
            print(name, path)
    except LocalClusterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
