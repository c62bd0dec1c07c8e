# SPDX-License-Identifier: Apache-2.0
"""Commands that a message advises: people copy them into a shell, so nothing that others wrote gets there as it is.

Every command with a word that is not this program's own is made by `command`; a unit test looks for others.
"""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

__all__ = ["FOLDER", "NAME", "WORD", "Given", "command", "is_name"]

NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
"""What an object may be called: a DNS subdomain (apimachinery, IsDNS1123Subdomain)."""
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
"""What a mark such as a uid consists of."""
FOLDER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*|\.")
"""A folder of a volume, relative to its top; "." for the top."""


class Given(NamedTuple):
    """A word of a command that somebody else wrote: into an annotation, a pod's status, a custom resource."""

    text: str
    called: str
    """What is written instead if it is not what it has to be: `VOLUME`."""
    pattern: re.Pattern[str] = NAME
    before: str = ""
    """What comes before it in the same word: `key=`."""

    @property
    def is_usable(self) -> bool:
        return bool(self.pattern.fullmatch(self.text))


def is_name(text: str) -> bool:
    """Whether an object may be called that."""
    return bool(NAME.fullmatch(text))


def command(*words: str | Given, ticks: str = "`") -> str:
    """The command between `ticks`, each word quoted for a POSIX shell.

    What is given and is not what it has to be is left out, so that nobody runs it: its place holds the word that it is
    called by, and what follows the command says so.
    """
    written, left_out = [], []
    for word in words:
        if isinstance(word, str):
            written.append(shlex.quote(word))
        elif word.is_usable:
            written.append(shlex.quote(f"{word.before}{word.text}"))
        else:
            written.append(shlex.quote(f"{word.before}{word.called}"))
            left_out.append(word.called)
    note = f" ({' and '.join(left_out)} left out, because what stands there is no valid name)" if left_out else ""
    return f"{ticks}{' '.join(written)}{ticks}{note}"
