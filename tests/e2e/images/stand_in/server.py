# SPDX-License-Identifier: Apache-2.0
"""The program of the server's image. Ends with status 1 where Immich would, and opens its port when all is well.

There is no handler for SIGTERM: like Immich, it ends at once, and tini makes that status 143.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from . import config_file, media
from .api import Api
from .config_file import InvalidConfig
from .database import Database, DatabaseError, Unusable
from .environment import InvalidEnvironment, Settings, read, with_secrets_from_files
from .queues import Connection, QueueError
from .web import Answer, Request, failure, listen, log

__all__ = ["main"]

_STARTS_KEY = "immich_bull:stand-in:starts"


class _CannotStart(Exception):  # noqa: N818 - reads as what it is
    """Says why."""


def main(env: Mapping[str, str]) -> int:
    """Run until a signal; the exit status when it does not come to that."""
    try:
        settings = read(with_secrets_from_files(env))
    except InvalidEnvironment as error:
        log("the environment is not valid:")
        for problem in error.problems:
            log(f"  {problem.name} {problem.what}")
        return 1
    log(f"this is a stand-in for Immich {settings.version}, for tests: it manages no photos")
    try:
        _run(settings)
    except (_CannotStart, InvalidConfig, Unusable) as error:
        log(f"cannot start: {error}")
    except DatabaseError as error:
        log(f"cannot start: the database: {str(error).strip()}")
    except QueueError as error:
        log(f"cannot start: Valkey: {error}")
    return 1


def _run(settings: Settings) -> None:
    # The order is Immich's: database, library, queues, configuration, port.
    database = Database(settings.database)
    log(database.prepare(settings.vector_extension, skip_migrations=settings.skip_migrations))
    library = media.location(settings.media_location)
    _check_library(library, database, settings)
    _check_queues(settings)
    config = config_file.load(settings.config_file, config_file.known_kinds())
    if config.unknown:
        log(f"warning: unknown keys in the configuration are passed over: {', '.join(config.unknown)}")
    database.remember_start(settings.version)
    urls = config.values.get("machineLearning.urls", [settings.machine_learning_url])
    enabled = config.values.get("machineLearning.enabled", settings.machine_learning_enabled) in (True, "true")
    if settings.metrics:
        for worker, port in settings.metrics_ports.items():
            if worker in settings.workers:
                _start_metrics(worker, port)
    if "api" in settings.workers:
        api = Api(settings, config.values, urls if enabled else [], library, database)
        server = listen(settings.host, settings.port, api.answer)
        log(f"listening on port {settings.port}")
        server.serve_forever()
    else:
        log("running background jobs only, with no port to ask")
        threading.Event().wait()


def _check_library(library: Path, database: Database, settings: Settings) -> None:
    with database.mount_checks() as known:
        made, faults = media.check_marks(library, known)
        known.update(made)
        if faults and not settings.ignore_mount_errors:
            raise _CannotStart(f"the library is not what it was: {'; '.join(faults)}")
    if faults:
        log(f"warning: the library is not what it was: {'; '.join(faults)}")


def _check_queues(settings: Settings) -> None:
    with Connection(settings.queues) as queues:
        queues.run("INCR", _STARTS_KEY)
        memory = str(queues.run("INFO", "memory"))
    if "maxmemory_policy:noeviction" not in memory:
        log("warning: Valkey may throw jobs away: its maxmemory-policy is not noeviction")


def _start_metrics(worker: str, port: int) -> None:
    def answer(request: Request) -> Answer:
        if (request.method, request.path) != ("GET", "/metrics"):
            return failure(404, "there is only /metrics")
        text = f'# TYPE immich_stand_in gauge\nimmich_stand_in{{worker="{worker}"}} 1\n'
        return Answer(200, text.encode(), "text/plain; version=0.0.4")

    threading.Thread(target=listen(None, port, answer).serve_forever, name=f"metrics-{worker}", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(os.environ))
