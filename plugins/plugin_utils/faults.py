# SPDX-License-Identifier: Apache-2.0
"""Faults of this collection where Secrets are handled.

Ansible prints the text of any exception, newer releases although the task has `no_log`, and the text may quote a Secret:
a KeyError names a key, a ValueError the value. So only type and place are told.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible.errors import AnsibleError

__all__ = ["without_text"]


@contextmanager
def without_text(who: str, error: type[AnsibleError]) -> Iterator[None]:
    """Raise what is no AnsibleError as an `error` that says nothing but what happened where in the code to `who`."""
    try:
        yield
    except AnsibleError:
        raise
    except Exception as exc:
        *_before, last = traceback.extract_tb(exc.__traceback__)
        place = f"{Path(last.filename).name}, line {last.lineno}"
        raise error(f"{who}: {type(exc).__name__} in {place}; please report it") from None
