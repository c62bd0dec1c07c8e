# SPDX-License-Identifier: Apache-2.0
"""What an API server says when it refuses: cut to what a person can use, and what to do about it.

A 403 has many authors: permissions, quotas, limit ranges, policies, webhooks, Pod Security. Only the message tells which.
Sources are the texts of Kubernetes' admission plug-ins, `plugin/pkg/admission` and `staging/src/k8s.io/apiserver`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["advice", "known_parts", "readable"]

VALUE_LENGTH = 60
"""Characters of a refused value that are shown. Of whole structures the API server prints every field."""

_REPEATED_SUBJECT = re.compile(r'(?<!\S)[\w.-]+(?: "[^"]*")? is (?:forbidden|invalid): ')
"""As in `deployments.apps "photos-server" is forbidden: `. Who tells of a refusal names the object already."""
_VALUE = re.compile(r"Invalid value: ")
_BRACKETS = {"{": "}", "[": "]", "(": ")"}


def readable(message: str) -> str:
    """The message without the object's name once more, without long values, and on one line."""
    return " ".join(_without_long_values(_REPEATED_SUBJECT.sub("", message)).split())


def known_parts(message: str) -> str:
    """Of a refusal that may quote what is secret: the parts that are the API server's own words with names in them, "" if
    there are none."""
    return ", ".join(dict.fromkeys(found.group() for pattern in _OWN_WORDS for found in pattern.finditer(message)))


_NAME = r"[A-Za-z0-9:._-]{1,253}"
_OWN_WORDS = tuple(
    re.compile(pattern)
    for pattern in (
        rf'User "{_NAME}" cannot [a-z]+ resource "[a-z]+" in API group "[A-Za-z0-9.-]*" '
        rf'(?:in the namespace "{_NAME}"|at the cluster scope)',
        rf"exceeded quota: {_NAME}",
        rf'admission webhook "{_NAME}" denied the request',
        rf'failed calling webhook "{_NAME}"',
        rf"(?:ValidatingAdmissionPolicy|MutatingAdmissionPolicy) '{_NAME}'",
        rf"namespace {_NAME} because it is being terminated",
        r"field is immutable(?: when `immutable` is set)?",
    )
)


def advice(message: str, namespace: str = "") -> str | None:
    """One sentence without full stop about what to do, None where the message tells nothing that is known here."""
    for pattern, remedy in _REMEDIES:
        found = pattern.search(message)
        if found:
            place = f"namespace {namespace}" if namespace else "the namespace"
            return remedy.format(*found.groups(), place=place)
    return None


_REMEDIES = tuple(
    (re.compile(pattern), remedy)
    for pattern, remedy in (
        (r"being terminated", "Nothing can be created in a namespace that is being deleted"),
        (r"status unknown for quota", "The quota is new and its usage is still being counted; this is retried"),
        (
            r"exceeded quota: ([^,\s]+)",
            "Request less in the custom resource (size, resources, replicas), or have ResourceQuota {0} in {place} raised",
        ),
        (
            r"failed quota: ([^:\s]+): must specify",
            "Set them in the component's `resources`, or have a LimitRange in {place} set defaults: ResourceQuota {0} requires "
            "them",
        ),
        (
            r"(?:minimum|maximum) \S+ usage per PersistentVolumeClaim",
            "Request a size within these bounds in the custom resource, or have the LimitRange in {place} changed",
        ),
        (
            r"(?:minimum|maximum) \S+ usage per |max limit to request ratio",
            "Stay within it in the component's `resources`, or have the LimitRange in {place} changed",
        ),
        (
            r'violates PodSecurity "([^":]+)',
            "Set the component's podSecurityContext and securityContext as it says, or relax the level {0} in the labels of "
            "{place}",
        ),
        (
            r"(?:ValidatingAdmissionPolicy|MutatingAdmissionPolicy) '([^']+)'",
            "Change the custom resource as the policy says, or have {place} exempted from {0}",
        ),
        (
            r'admission webhook "([^"]+)" denied',
            "Change the custom resource as it says, or ask those who run webhook {0} to exempt {place}",
        ),
        (
            r'failed calling webhook "([^"]+)"',
            "Nothing can be written until webhook {0} responds; this is retried",
        ),
        (
            r"must support resize|only dynamically provisioned pvc can be resized",
            "Set `allowVolumeExpansion: true` in its StorageClass, or set the size back and move the data to a larger claim",
        ),
        (r"no PriorityClass with name (\S+) was found", "Create PriorityClass {0}, or name another one"),
        (r'serviceaccount "([^"]+)" not found', "Create ServiceAccount {0} in {place}, or name another one"),
        (
            r'\bUser "[^"]*" cannot |cannot set blockOwnerDeletion|attempting to grant RBAC permissions',
            "Allow it in the role of the account that runs this (the operator's rules are in config/rbac)",
        ),
    )
)


def _without_long_values(message: str) -> str:
    return "".join(_pieces(message))


def _pieces(message: str) -> Iterator[str]:
    end = 0
    for found in _VALUE.finditer(message):
        if found.start() < end:
            continue  # inside of a value
        yield message[end : found.end()]
        end = _end_of_value(message, found.end())
        value = message[found.end() : end]
        yield value if len(value) <= VALUE_LENGTH else "…"
    yield message[end:]


def _end_of_value(text: str, start: int) -> int:
    """Where the value ends that begins there: as Go prints a structure, JSON, or a word."""
    expected: list[str] = []
    is_quoted = False
    position = start
    while position < len(text):
        char = text[position]
        if is_quoted:
            position += char == "\\"
            is_quoted = char != '"'
        elif char == '"':
            is_quoted = True
        elif char in _BRACKETS:
            expected.append(_BRACKETS[char])
        elif expected and char == expected[-1]:
            expected.pop()
        elif not expected and text.startswith(": ", position):
            return position
        position += 1
    return len(text)
