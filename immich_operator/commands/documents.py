# SPDX-License-Identifier: Apache-2.0
"""Reading files of YAML that somebody else may have written, and telling of them on standard error."""

from __future__ import annotations

import codecs
import contextlib
import errno
import sys
from collections.abc import Iterator
from typing import IO, Any

import yaml

from immich_operator import collection
from immich_operator.kube.texts import TooLarge, read_text, visible

__all__ = ["UnreadableError", "documents", "tell", "title"]

ADVICE_FOR_URLS = ". This is an address: write what it holds into a file, or to standard input with - for FILE"
ADVICE_FOR_UTF_16 = ". It begins like UTF-16, which PowerShell writes: save it as UTF-8"
ADVICE_FOR_TABS = ". A tab can't indent YAML: use blanks"


class UnreadableError(Exception):
    """A file that is not YAML, or can't be read; the text names it."""


def documents(file: str) -> Iterator[tuple[str, Any]]:
    """(what to call the file, document): `-` is standard input; the items of a list count as documents.

    Raises:
        UnreadableError: it is no YAML, or can't be read.
    """
    told = title(file)
    try:
        with _opened(file) as opened:
            text = read_text(opened)
    except OSError as error:
        raise UnreadableError(f"{told}: {error.strerror}{ADVICE_FOR_URLS if '://' in file else ''}") from error
    except UnicodeDecodeError as error:
        advice = ADVICE_FOR_UTF_16 if error.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else ""
        raise UnreadableError(f"{told}: not text in UTF-8: byte {error.start + 1} is none of it{advice}") from error
    except TooLarge as error:
        raise UnreadableError(f"{told}: {error}") from error
    try:
        for document in collection.rendering().documents(text):
            yield from ((told, item) for item in _items(document))
    except TooLarge as error:
        raise UnreadableError(f"{told}: {error}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        advice = ADVICE_FOR_TABS if mark and _is_tab(text, mark) else ""
        raise UnreadableError(f"{told}: not YAML:{where} {error.problem or error.context}{advice}") from error
    except yaml.YAMLError as error:
        raise UnreadableError(f"{told}: not YAML: {str(error).splitlines()[0]}") from error


def tell(text: str) -> None:
    """One line to standard error: parts of it are from a file that somebody else may have written."""
    print(visible(text), file=sys.stderr)


def _is_tab(text: str, mark: yaml.Mark) -> bool:
    lines = text.splitlines()
    return mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t"


def _opened(file: str) -> contextlib.AbstractContextManager[IO[bytes]]:
    if file != "-":
        return open(file, "rb")  # noqa: PTH123 - a Path takes an empty name for the current folder
    if sys.stdin is None:
        raise OSError(errno.EBADF, "it is closed")
    return contextlib.nullcontext(sys.stdin.buffer)


def _items(document: Any) -> list[Any]:
    """The objects in a document: those of a list, as `kubectl get --output yaml` prints it, or the only one."""
    if isinstance(document, dict) and document.get("kind") == "List" and isinstance(document.get("items"), list):
        return list(document["items"])
    return [] if document is None else [document]


def title(file: str) -> str:
    return "standard input" if file == "-" else file or "''"
