# SPDX-License-Identifier: Apache-2.0
"""One line per event: a fixed sentence and fields. Text for people at a terminal, JSON for everything else."""

from __future__ import annotations

import datetime
import json
import logging
import math
import sys
from collections.abc import Mapping
from typing import Any, Final, TextIO

from immich_operator.kube.texts import fitted, visible

NAME: Final = "immich_operator"
MAX_TEXT: Final = 8192  # bytes of a field
MAX_ITEMS: Final = 50  # of a field that is a list or a mapping
MAX_ITEM_TEXT: Final = 2048  # bytes of one of them
MAX_NUMBER: Final = 2**64
MAX_TRACEBACK: Final = 16384  # characters; the last ones tell most
_COLOURS: Final = {"DEBUG": "\x1b[2m", "INFO": "\x1b[32m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m"}


class FieldLogger(logging.Logger):
    """A logger whose `extra` becomes the fields of the line; any name is allowed, "name" and "thread" included.

    It belongs to one operator and is not registered anywhere.
    """

    def makeRecord(  # noqa: N802, PLR0913, PLR0917 - inherited signature
        self,
        name: str,
        level: int,
        fn: str,
        lno: int,
        msg: object,
        args: Any,
        exc_info: Any,
        func: str | None = None,
        extra: Mapping[str, object] | None = None,
        sinfo: str | None = None,
    ) -> logging.LogRecord:
        """The inherited method would refuse fields that LogRecord uses for its own attributes."""
        record = super().makeRecord(name, level, fn, lno, msg, args, exc_info, func, None, sinfo)
        record.fields = dict(extra or {})
        return record


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra`, without empty values, and cut to what a line can hold."""
    fields: dict[str, Any] = getattr(record, "fields", {})
    return {key: _bounded(value) for key, value in fields.items() if value not in (None, "", [], ())}


def _bounded(value: object, limit: int = MAX_TEXT) -> Any:
    """As JSON can have it: what is inside of a list or a mapping is a number, a truth value or a text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < MAX_NUMBER):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return "a number of many digits"  # which Python may refuse to write out
    if isinstance(value, list | tuple) and limit == MAX_TEXT:
        more = [f"and {len(value) - MAX_ITEMS} more"] if len(value) > MAX_ITEMS else []
        return [*(_bounded(item, MAX_ITEM_TEXT) for item in value[:MAX_ITEMS]), *more]
    if isinstance(value, dict) and limit == MAX_TEXT:
        return {
            fitted(str(key), MAX_ITEM_TEXT): _bounded(item, MAX_ITEM_TEXT)
            for key, item in list(value.items())[:MAX_ITEMS]
        }
    return fitted(str(value), limit)


class JsonFormatter(logging.Formatter):
    """{"ts", "level", "msg", ...fields, "traceback" if there is one}"""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = {
            "ts": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)[-MAX_TRACEBACK:]
        return _escaped(json.dumps(line, default=str, ensure_ascii=False))


class TextFormatter(logging.Formatter):
    """12:00:01.234 INFO  sentence  field=value ..."""

    def __init__(self, *, colour: bool = False) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.datetime.fromtimestamp(record.created).astimezone()
        level = f"{record.levelname:<7}"
        if self._colour:
            level = f"{_COLOURS.get(record.levelname, '')}{level}\x1b[0m"
        fields = "".join(f"  {visible(key)}={_plain(value)}" for key, value in fields_of(record).items())
        line = f"{moment:%H:%M:%S}.{int(record.msecs):03d} {level} {visible(record.getMessage())}{fields}"
        if not record.exc_info:
            return line
        # Indented, so that no line of an exception's text looks like one of the log.
        return line + "".join(
            f"\n    {visible(part)}" for part in self.formatException(record.exc_info)[-MAX_TRACEBACK:].split("\n")
        )


def set_up(level: str, format_: str, stream: TextIO | None = None) -> logging.Logger:
    """The runtime's logger, writing to `stream` (standard error if None)."""
    stream = stream or sys.stderr
    terminal = stream.isatty()
    as_text = format_ == "text" or (format_ == "auto" and terminal)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter(colour=terminal) if as_text else JsonFormatter())
    log = FieldLogger(NAME, level.upper())
    log.addHandler(handler)
    return log


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(visible(str(item)) for item in value) + "]"
    text = str(value)
    return visible(json.dumps(text, ensure_ascii=False) if " " in text or '"' in text else text)


def _escaped(line: str) -> str:
    r"""The same JSON with \uXXXX for what is not `visible`: viewers show the lines of a log as they are."""
    return line if visible(line) == line else "".join(json.dumps(c)[1:-1] if visible(c) != c else c for c in line)
