# SPDX-License-Identifier: Apache-2.0
"""Everything the runtime raises on purpose.

OperatorError
├── SettingsError          a flag or variable that cannot be used
├── WatchesError           watches.yaml, all its problems at once
├── ParameterError         a value of a custom resource that no play can be built from
├── ThreadDiedError             a thread of the runtime ended although nobody asked it to
└── ClusterError
    ├── ConnectionConfigError   no usable kubeconfig or service account
    ├── UnreachableError             no answer from the API server
    ├── MalformedAnswerError         an answer that is not the JSON it should be
    └── ApiError                an answer with an error status
        ├── ForbiddenError           403
        ├── NotFoundError            404
        ├── ConflictError            409
        └── GoneError                410: the resource version is too old to continue from

Response bodies and headers never become part of a message; only the `message` of a `kind: Status` does, cut.
"""

from __future__ import annotations

from collections.abc import Sequence

MAX_MESSAGE = 500


class OperatorError(Exception):
    """Root of this package's exceptions; its text is fit for a person."""


class SettingsError(OperatorError):
    """A flag or an environment variable has a value that cannot be used."""


class WatchesError(OperatorError):
    """watches.yaml cannot be used; `problems` lists every reason found, each naming line and entry."""

    def __init__(self, file: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{file} cannot be used:\n" + "\n".join(f"  - {problem}" for problem in self.problems))


class ParameterError(OperatorError):
    """A custom resource holds something that cannot become an Ansible variable or option."""


class ThreadDiedError(OperatorError):
    """A supervised thread failed or returned early."""


class ClusterError(OperatorError):
    """Root of what can go wrong between the operator and the API server."""


class ConnectionConfigError(ClusterError):
    """There is no usable connection information."""


class UnreachableError(ClusterError):
    """The API server did not answer, or the connection broke."""


class MalformedAnswerError(ClusterError):
    """The API server, or something in between, sent what is not a Kubernetes answer."""


class ApiError(ClusterError):
    """The API server answered with an error.

    Args:
        what: the request in words, e.g. "list immiches.media.rm3l.org".
        status: HTTP status code.
        reason: `reason` of the Status object, or the HTTP phrase.
        message: `message` of the Status object, "" if the body was none.
    """

    def __init__(self, what: str, *, status: int, reason: str = "", message: str = "") -> None:
        self.what = what
        self.status = status
        self.reason = reason
        self.message = message[:MAX_MESSAGE]
        super().__init__(f"{what}: {status} {reason}" + (f": {self.message}" if self.message else ""))


class ForbiddenError(ApiError):
    """403."""


class NotFoundError(ApiError):
    """404."""


class ConflictError(ApiError):
    """409."""


class GoneError(ApiError):
    """410."""


_BY_STATUS: dict[int, type[ApiError]] = {403: ForbiddenError, 404: NotFoundError, 409: ConflictError, 410: GoneError}


def api_error(what: str, status: int, reason: str, message: str) -> ApiError:
    """The most specific ApiError for an HTTP status."""
    return _BY_STATUS.get(status, ApiError)(what, status=status, reason=reason, message=message)
