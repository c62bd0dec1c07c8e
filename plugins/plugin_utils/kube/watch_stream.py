# SPDX-License-Identifier: Apache-2.0
"""One open watch: from a byte stream in arbitrary chunks to events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

try:
    from urllib3.exceptions import HTTPError
except ImportError:  # set by the transport, which opens watches
    HTTPError = OSError

from .api_error import Malformed, ObjectRef, Unreachable, refusal
from .decoding import decoded
from .values import Manifest

__all__ = ["WatchStream", "split_lines"]

MAX_LINE_BYTES = 64 * 1024 * 1024
"""etcd refuses objects over 1.5 MiB; this only stops a stream without newlines."""
CHUNK_BYTES = 65536


class WatchStream:
    """One open watch. Iterate in one thread; `close` may come from any other."""

    def __init__(self, response: Any, subject: ObjectRef | str) -> None:
        """`response` is urllib3's, with a body that has not been read yet."""
        self._response = response
        self._subject = subject
        self._closed = False

    def __iter__(self) -> Iterator[Manifest]:
        """Events `{"type": ..., "object": {...}}` until the server ends the watch or `close` is called.

        Raises:
            ApiError: an ERROR event; `Gone` if the resource version is too old.
            Unreachable: the connection broke.
            Malformed: a line is not an event.
        """
        try:
            for line in split_lines(_chunks(self._response), self._subject):
                yield _event(line, self._subject)
        except (HTTPError, OSError, ValueError, AttributeError) as exc:
            # ValueError and AttributeError: urllib3 keeps reading after `close` has removed the file
            if not self._closed:
                raise Unreachable(f"{self._subject}: the connection broke ({type(exc).__name__})") from exc
        finally:
            self._response.close()

    def close(self) -> None:
        """End the iteration, even one that is waiting for data."""
        self._closed = True
        shutdown = getattr(self._response, "shutdown", None)  # urllib3 2.3 and later
        try:
            if shutdown is not None:
                shutdown()
            else:
                self._response.close()
        except (OSError, RuntimeError, ValueError):
            pass  # it has just ended by itself


def _chunks(response: Any) -> Iterator[bytes]:
    """What comes, when it comes. By `read1`, which reads no endless size of a chunk, where urllib3 has it (2.1)."""
    if not hasattr(response, "read1"):
        yield from response.stream(CHUNK_BYTES, decode_content=False)
        return
    while chunk := response.read1(CHUNK_BYTES, decode_content=False):
        yield chunk


def split_lines(chunks: Iterator[bytes], subject: ObjectRef | str) -> Iterator[bytes]:
    """Lines of a byte stream in arbitrary chunks; an unfinished last line is dropped, empty ones are skipped."""
    rest: list[bytes] = []
    size = 0
    for chunk in chunks:
        *whole, tail = chunk.split(b"\n")
        for line in whole:
            rest.append(line)
            complete = b"".join(rest)
            rest, size = [], 0
            if complete.strip():
                yield complete
        rest.append(tail)
        size += len(tail)
        if size > MAX_LINE_BYTES:
            raise Malformed(f"{subject}: a line of more than {MAX_LINE_BYTES} bytes")


def _event(line: bytes, subject: ObjectRef | str) -> Manifest:
    try:
        event = decoded(line)
    except ValueError as exc:
        raise Malformed(f"{subject}: a line of the stream is not JSON") from exc
    seen = event.get("object") if isinstance(event, dict) else None
    if not isinstance(seen, dict) or not isinstance(event.get("type"), str):
        raise Malformed(f"{subject}: a line of the stream is not an event")
    if event["type"] == "ERROR":
        code, reason = seen.get("code"), seen.get("reason")
        status_code = 410 if reason in ("Expired", "Gone") else code if isinstance(code, int) else 500
        raise refusal(status_code, "", seen, subject)
    found: Manifest = event
    return found
