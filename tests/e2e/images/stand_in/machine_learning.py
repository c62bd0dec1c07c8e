# SPDX-License-Identifier: Apache-2.0
"""The program of the machine learning image. It answers, it keeps a cache, and it has learnt nothing."""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from .web import Answer, Request, failure, json_answer, listen, log

__all__ = ["main", "write_cache"]

CACHE_FILE = "stand-in-starts.txt"


def write_cache(folder: Path) -> None:
    """Add a line to a file in the cache, as a download would add a model; OSError when that cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / CACHE_FILE).open("a", encoding="utf-8") as stream:
        stream.write(f"{datetime.now(UTC).isoformat()} {socket.gethostname()}\n")


def answer(request: Request) -> Answer:
    match request.method, request.path:
        case "GET", "/":
            return json_answer({"message": "Immich ML stand-in"})
        case "GET", "/ping":
            return Answer(200, b"pong", "text/plain")
        case "POST", "/predict":
            return failure(501, "this is a stand-in: it has no models")
    return failure(404, "Not Found")


def main(env: Mapping[str, str]) -> int:
    """Run until SIGTERM."""
    folder = Path(env.get("MACHINE_LEARNING_CACHE_FOLDER") or "/cache")
    port = env.get("IMMICH_PORT") or "3003"
    if not port.isdigit():
        log(f"IMMICH_PORT is {port!r}, not a number")
        return 1
    log("this is a stand-in for Immich's machine learning, for tests: it has no models")
    try:
        write_cache(folder)
    except OSError as error:
        log(f"cannot start: the cache {folder} cannot be written: {error.strerror}")
        return 1
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:  # as in Immich's own, under a root that is read-only
        log(f"cannot start: {error.strerror}")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    log(f"listening on port {port}")
    listen(env.get("IMMICH_HOST"), int(port), answer).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
