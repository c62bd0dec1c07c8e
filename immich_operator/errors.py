# SPDX-License-Identifier: Apache-2.0
"""Everything the runtime raises on purpose: `OperatorError` for what is its own, `TransportError` of the collection for
what goes wrong between it and the API server.

OperatorError
├── SettingsError          a flag or variable that cannot be used
├── WatchesError           watches.yaml, all its problems at once
├── ParameterError         a value of a custom resource that no play can be built from
├── LeaseLostError         this process does not lead any more
└── ThreadDiedError        a thread of the runtime ended without being asked to

The tree below TransportError is in the collection's `plugin_utils/kube/api_error.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # the same file, by the name under which mypy reads it
    from plugins.plugin_utils.kube.api_error import (
        ApiError,
        Conflict,
        Forbidden,
        Gone,
        Malformed,
        Misconfigured,
        NotFound,
        TransportError,
        Unreachable,
    )
else:
    from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import (
        ApiError,
        Conflict,
        Forbidden,
        Gone,
        Malformed,
        Misconfigured,
        NotFound,
        TransportError,
        Unreachable,
    )

__all__ = [
    "EXPECTED",
    "ApiError",
    "Conflict",
    "Forbidden",
    "Gone",
    "LeaseLostError",
    "Malformed",
    "Misconfigured",
    "NotFound",
    "OperatorError",
    "ParameterError",
    "SettingsError",
    "ThreadDiedError",
    "TransportError",
    "Unreachable",
    "WatchesError",
]


class OperatorError(Exception):
    """Root of this package's own exceptions; its text is fit for a person."""


class SettingsError(OperatorError):
    """A flag or an environment variable has a value that cannot be used."""


class WatchesError(OperatorError):
    """watches.yaml cannot be used; `problems` lists every reason found, each naming line and entry."""

    def __init__(self, file: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{file} cannot be used:\n" + "\n".join(f"  - {problem}" for problem in self.problems))


class ParameterError(OperatorError):
    """A custom resource holds something that cannot become an Ansible variable or option."""


class LeaseLostError(OperatorError):
    """The Lease could not be renewed in time, or somebody else has it."""


class ThreadDiedError(OperatorError):
    """A supervised thread failed or returned early."""


EXPECTED: Final = (OperatorError, TransportError)
"""What may happen without a fault of this program."""
