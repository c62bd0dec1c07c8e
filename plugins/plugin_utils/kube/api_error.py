# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between us and an API server, worded without headers, bodies or addresses with credentials.

TransportError
  Misconfigured   the connection's settings are unusable; no request was sent
  Unreachable     no answer: name, port, TLS or time; or credentials that cannot be read now
    NotLeading    a write that was not sent, because another operator may lead by now
  Malformed       an answer that is not an API server's
    TooLarge      one that is larger than is read
  ApiError        an answer that says no
    Forbidden     403
    NotFound      404
    Conflict      409
    Gone          410: the version is too old to continue from

The loop and the passes raise and catch the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from .decoding import decoded
from .refusals import known_parts, readable
from .values import cut, visible

__all__ = [
    "ApiError",
    "Conflict",
    "Forbidden",
    "Gone",
    "Malformed",
    "Misconfigured",
    "NotFound",
    "NotLeading",
    "ObjectRef",
    "TooLarge",
    "TransportError",
    "Unreachable",
    "api_error",
    "refusal",
    "status_of",
    "without_credentials",
]

MESSAGE_LENGTH = 600
"""Characters kept of an API server's message: enough for the first causes of a refused pod template."""


READ_LENGTH = 20_000
"""Characters of it that are read at all; a webhook may send any number."""

STATUS_LEVELS = 20
"""Of a `kind: Status`; what it may quote is a text."""

CONTENT_STATUS_CODES = frozenset({400, 413, 422, 500})
"""Answers about the content of an object."""


class ObjectRef(NamedTuple):
    """One object, or a whole kind when `name` is empty; `namespace` is empty for cluster-scoped kinds."""

    api_version: str
    kind: str
    name: str = ""
    namespace: str = ""

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> ObjectRef:
        """The reference to a manifest, or to a target such as {"apiVersion", "kind", "name", "namespace"}."""
        metadata = manifest.get("metadata") or manifest
        return cls(
            str(manifest.get("apiVersion") or ""),
            str(manifest.get("kind") or ""),
            str(metadata.get("name") or ""),
            str(metadata.get("namespace") or ""),
        )

    def __str__(self) -> str:
        return " ".join(filter(None, (self.kind, "/".join(filter(None, (self.namespace, self.name))))))


class TransportError(Exception):
    """Root of all errors raised by the transport."""


class Misconfigured(TransportError):  # noqa: N818 # reads as what is the case
    """There is no usable way to an API server in the settings."""


class Unreachable(TransportError):  # noqa: N818 # reads as what is the case
    """The API server gave no answer."""


class NotLeading(Unreachable):
    """This process is a part of an operator that may not write any more; see `permit`."""


class Malformed(TransportError):  # noqa: N818 # reads as what is the case
    """The API server, or something in between, sent an answer that is not Kubernetes'."""


class TooLarge(Malformed):
    """The answer is larger than is read."""


class ApiError(TransportError):
    """The API server refused.

    `reason` and `message` come from its `kind: Status` only (HTTP's own phrase if it sent none); `fields` are the
    paths that it complained about. `retry_after_s` is how many seconds it asks to wait, 0.0 if it does not ask.
    """

    retry_after_s: float = 0.0

    def __init__(
        self, status_code: int, reason: str, message: str, *, subject: str, fields: tuple[str, ...] = ()
    ) -> None:
        super().__init__(status_code, reason, message)
        self.status_code = status_code
        self.reason = reason
        self.message = message
        self.subject = subject
        self.fields = fields

    def __str__(self) -> str:
        text = f"{self.subject}: {self.status_code} {self.reason}".rstrip()
        return f"{text}: {self.message}" if self.message else text


class Forbidden(ApiError):  # noqa: N818 # reads as what is the case
    """403."""


class NotFound(ApiError):  # noqa: N818 # reads as what is the case
    """404: there is no such object, or no such kind."""


class Conflict(ApiError):  # noqa: N818 # reads as what is the case
    """409: it was changed in the meantime, or already exists."""


class Gone(ApiError):  # noqa: N818 # reads as what is the case
    """410: the resource version or the token of a page is too old to continue from."""


BY_STATUS_CODE: dict[int, type[ApiError]] = {403: Forbidden, 404: NotFound, 409: Conflict, 410: Gone}


def api_error(status_code: int, phrase: str, body: bytes | str | None, subject: ObjectRef | str) -> ApiError:
    """The error for an answer. `phrase` is HTTP's ("Bad Gateway"); `body` is used only if it is a `kind: Status`."""
    return refusal(status_code, phrase, status_of(body), subject)


def refusal(status_code: int, phrase: str, status: Mapping[str, Any], subject: ObjectRef | str) -> ApiError:
    """The error that a `kind: Status` stands for ({} if there was none), as the most specific class."""
    details = status.get("details") or {}
    causes = [cause for cause in details.get("causes") or () if isinstance(cause, dict)]
    fields = tuple(dict.fromkeys(str(cause["field"]) for cause in causes if cause.get("field")))
    message = readable(str(status.get("message") or "")[:READ_LENGTH])
    reason = str(status.get("reason") or phrase or "")
    if getattr(subject, "kind", "") == "Secret":
        # Whatever the code: webhooks and proxies answer with any, and may quote the object.
        fields = tuple(field for field in fields if _FIELD_OF_SECRET.fullmatch(field))
        reason = reason if _REASON.fullmatch(reason) else ""
        message = message and _withheld(known_parts(message), status_code, fields)
    return BY_STATUS_CODE.get(status_code, ApiError)(
        status_code,
        visible(cut(reason, 100)),
        visible(cut(message, MESSAGE_LENGTH)),
        subject=visible(str(subject)),
        fields=tuple(map(visible, fields)),
    )


_REASON = re.compile(r"[A-Z][A-Za-z]{1,40}")
"""A word of Kubernetes, as metav1.StatusReason."""
_FIELD_OF_SECRET = re.compile(r"(metadata|type|immutable|data|stringData)(\.[A-Za-z]+)*(\[[-._a-zA-Z0-9]{1,253}\])?")


def _withheld(known: str, status_code: int, fields: tuple[str, ...]) -> str:
    if not known and (fields or status_code in CONTENT_STATUS_CODES):
        known = f"the content was refused ({', '.join(fields) or 'no field named'})"
    return f"{known} (its text is withheld)" if known else "its text is withheld"


def status_of(body: bytes | str | None) -> dict[str, Any]:
    """The `kind: Status` that an answer is, {} for any other."""
    raw = body.encode(errors="replace") if isinstance(body, str) else body
    try:
        parsed = decoded(raw or b"{}", levels=STATUS_LEVELS)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) and parsed.get("kind") == "Status" else {}


def without_credentials(address: str) -> str:
    """The address without `user:password@` and without a trailing slash."""
    parts = urlsplit(address if "://" in address else f"https://{address}")
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
