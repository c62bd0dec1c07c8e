# SPDX-License-Identifier: Apache-2.0
"""Read Secrets and ConfigMaps that a custom resource refers to, and report what is missing."""

from __future__ import annotations

import base64
import binascii
import codecs
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..kube.values import decoded_text
from ..spec.fields import ImmichWorkload, SecretKey
from ..spec.references import env_references
from .instance import Cluster, Instance, Part
from .reasons import Reason

if TYPE_CHECKING:
    from .checksums import Checksums


def secret_text(
    part: Part, instance: Instance, cluster: Cluster, reference: Mapping[str, Any], path: str
) -> str | None:
    """The value of a Secret's key as text, or None after reporting why the component has to wait."""
    name, key = reference.get("name", ""), reference.get("key", "")
    if not require(part, instance, cluster, "Secret", name, key, path):
        return None
    secret = cluster.live("Secret", name)
    encoded = (secret or {}).get("data", {}).get(key)
    if encoded is None:
        part.blocks(
            Reason.SECRET_NOT_FOUND, f"Secret {name} named in {path} can't be read; allow the operator to get Secrets"
        )
        return None
    text = decoded_text(encoded)
    if text is None:
        part.blocks(
            Reason.SECRET_KEY_NOT_FOUND, f"Secret {name} named in {path}: key {key} is not text; store it as UTF-8"
        )
    return text


def require(part: Part, instance: Instance, cluster: Cluster, kind: str, name: str, key: str | None, path: str) -> bool:
    """True if the Secret or ConfigMap and its key exist; otherwise the part says what is missing and how to fix it."""
    reason = Reason.SECRET_NOT_FOUND if kind == "Secret" else Reason.CONFIG_MAP_NOT_FOUND
    if cluster.is_known_missing(kind, name):
        part.blocks(
            reason,
            f"{kind} {name} named in {path} does not exist in namespace {instance.namespace}; create it or correct the name",
        )
        return False
    live = cluster.live(kind, name)
    if live and key is not None and key not in {**(live.get("data") or {}), **(live.get("binaryData") or {})}:
        reason = Reason.SECRET_KEY_NOT_FOUND if kind == "Secret" else Reason.CONFIG_MAP_NOT_FOUND
        part.blocks(reason, f"{kind} {name} named in {path} has no key {key}; add the key or correct {path}")
        return False
    if kind == "Secret" and live and key is not None and (oddity := odd_ends(_decoded(live, key))):
        part.warns(Reason.UNKNOWN_SETTING, f"{path}: key {key} of Secret {name} {oddity}")
    elif kind == "Secret" and live and key is not None and not _decoded(live, key):
        part.warns(
            Reason.UNKNOWN_SETTING, f"{path}: key {key} of Secret {name} is empty. Store the value that is meant"
        )
    return True


def explain_missing(
    part: Part, instance: Instance, cluster: Cluster, kind: str, name: str, key: str | None, path: str
) -> None:
    """Like `require`, for what only the pods wait for: their objects are applied all the same."""
    probe = Part(part.component)
    if not require(probe, instance, cluster, kind, name, key, path):
        notice = probe.notices[0]
        part.explains(notice.reason, notice.message)


def check_database_url(part: Part, cluster: Cluster, reference: SecretKey, path: str) -> None:
    """Warn of an address that is none of PostgreSQL's. The value is not quoted: it has a password."""
    url = _decoded(cluster.live("Secret", reference.name) or {}, reference.key)
    if url and not url.strip().startswith(URL_BEGINNINGS):
        part.warns(
            Reason.UNKNOWN_SETTING,
            f"{path}: key {reference.key} of Secret {reference.name} is no address of a PostgreSQL database. Write it like "
            "postgres://USER:PASSWORD@HOST:5432/DATABASE",
        )


URL_BEGINNINGS = (b"postgres://", b"postgresql://", b"socket:", b"/")
"""What the package pg-connection-string, with which Immich reads it, takes for a server or a socket."""
STORE_IT_WITHOUT = "which is then a part of the value. If it is not meant, store it without"
LINE_BREAK = (
    f"ends in a line break, {STORE_IT_WITHOUT}: with `printf %s` in the place of `echo`, or `kubectl create secret generic "
    "--from-literal`"
)
BYTE_ORDER_MARK = f"begins with a byte order mark, as editors on Windows write it, {STORE_IT_WITHOUT}"
BLANKS = f"begins or ends with a blank, {STORE_IT_WITHOUT}"


def odd_ends(value: bytes) -> str | None:
    """What nobody sees at the ends of one line: LINE_BREAK, BYTE_ORDER_MARK or BLANKS.

    None for a text of several lines too, such as a certificate, which has to end in a line break.
    """
    line = value.rstrip(b"\r\n")
    if b"\n" in line:
        return None
    if line != value:
        return LINE_BREAK
    if line.startswith(codecs.BOM_UTF8):
        return BYTE_ORDER_MARK
    text = line.decode(errors="replace")
    return BLANKS if text != text.strip() else None


def _decoded(secret: Mapping[str, Any], key: str) -> bytes:
    try:
        return base64.b64decode((secret.get("data") or {}).get(key) or "")
    except (binascii.Error, TypeError):
        return b""


def check_environment(part: Part, instance: Instance, cluster: Cluster, settings: ImmichWorkload, path: str) -> None:
    """Report Secrets and ConfigMaps missing in env and envFrom: pods wait for them, so their objects are applied."""
    for kind, name, key, is_optional in env_references(settings):
        if is_optional:
            continue
        explain_missing(part, instance, cluster, kind, name, key, f"{path}.{'envFrom' if key is None else 'env'}")


class Used(NamedTuple):
    """A Secret or ConfigMap that pods take values from; `key` is None if they take all keys."""

    kind: str
    name: str
    key: str | None


def used_by_environment(settings: ImmichWorkload) -> list[Used]:
    return [Used(kind, name, key) for kind, name, key, _unused in env_references(settings)]


def checksum_of_used(
    checksums: Checksums, cluster: Cluster, used: Iterable[Used], made: Mapping[str, Mapping[str, str]] | None = None
) -> str | None:
    """A checksum over the values that pods take from Secrets and ConfigMaps, None if there are none.

    `made` holds the data of Secrets that this same plan writes ({name: data}), so that pods start with them at once and
    are not replaced when the next pass sees them.
    """
    content: dict[str, Any] = {}
    for kind, name, key in sorted(used, key=lambda entry: (entry.kind, entry.name, entry.key or "")):
        written = (made or {}).get(name) if kind == "Secret" else None
        data = written or (cluster.live(kind, name) or {}).get("data") or {}
        content[f"{kind}/{name}/{key or '*'}"] = data if key is None else data.get(key)
    return checksums.of(content) if content else None
