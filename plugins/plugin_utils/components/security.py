# SPDX-License-Identifier: Apache-2.0
"""Security contexts: those of the operator, and what a user lays over them.

Some fields of a user can't stand beside a default of ours: the API server, the kubelet or the image's own start refuses
them together. Then the default goes, and the user is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..kube.values import dig, merged
from ..spec.fields import ImmichWorkload, Workload
from .instance import Part
from .reasons import Reason

HARDENED_POD = {"seccompProfile": {"type": "RuntimeDefault"}}
HARDENED_CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}

ESCALATION, CAPABILITIES, NON_ROOT = "allowPrivilegeEscalation", "capabilities", "runAsNonRoot"
SHOWN = {
    ESCALATION: "allowPrivilegeEscalation: false",
    CAPABILITIES: "capabilities: {drop: [ALL]}",
    NON_ROOT: "runAsNonRoot: true",
}
IDENTITY = ("runAsUser", "runAsGroup", "runAsNonRoot", "readOnlyRootFilesystem")


class Contradiction(NamedTuple):
    """A field of the user's, and the defaults that can't stand beside it."""

    field: str
    """As "securityContext: {privileged: true}"."""
    defaults: tuple[str, ...]


def container_context(settings: Workload) -> dict[str, Any]:
    """The security context of a component's containers."""
    kept = _without_contradicted(HARDENED_CONTAINER, settings)
    return merged(kept, settings.security_context)


def identity(settings: Workload) -> dict[str, Any]:
    """Of a user's context what a container that only waits takes over: nothing that gives it more rights."""
    return {key: value for key, value in settings.security_context.items() if key in IDENTITY}


def pod_context(defaults: Mapping[str, Any], settings: Workload) -> dict[str, Any]:
    """The security context of a component's pods; `defaults` are those besides HARDENED_POD."""
    context = merged(_without_contradicted({**HARDENED_POD, **defaults}, settings), settings.pod_security_context)
    if context.get("fsGroup") is not None:
        # By default kubelet goes through all files at each start of a pod, which for a library takes hours.
        context.setdefault("fsGroupChangePolicy", "OnRootMismatch")
    return context


def tell(part: Part, settings: Workload, path: str, pod_defaults: Mapping[str, Any]) -> None:
    """Warn of each default that a field of the user's takes away. `path` is where the settings are."""
    ours = {**HARDENED_CONTAINER, **pod_defaults}
    users = {**settings.pod_security_context, **settings.security_context}
    for found in _contradictions(settings):
        gone = [SHOWN[key] for key in found.defaults if key in ours and not _says(users, key)]
        if gone:
            part.warns(
                Reason.NOT_HARDENED,
                f"{path}.{found.field} can't stand beside the operator's {' and '.join(gone)}, so the pods run without. "
                "Take it back if that is more than they need",
            )


def _contradictions(settings: Workload) -> Iterator[Contradiction]:
    context, pod = settings.security_context, settings.pod_security_context
    added = [str(name).upper() for name in dig(context, CAPABILITIES, "add", default=[])]
    if context.get("privileged") is True:
        yield Contradiction("securityContext: {privileged: true}", (ESCALATION, CAPABILITIES))
    for name in added:
        if name.removeprefix("CAP_") == "SYS_ADMIN":
            yield Contradiction(f"securityContext: {{capabilities: {{add: [{name}]}}}}", (ESCALATION,))
        if name == "ALL":
            yield Contradiction("securityContext: {capabilities: {add: [ALL]}}", (CAPABILITIES,))
    where, user = ("securityContext", context) if "runAsUser" in context else ("podSecurityContext", pod)
    if user.get("runAsUser") == 0:
        # Images of databases start as root only to hand the volume to their own user, which takes capabilities.
        hands_over = not isinstance(settings, ImmichWorkload)
        yield Contradiction(f"{where}: {{runAsUser: 0}}", (NON_ROOT, CAPABILITIES) if hands_over else (NON_ROOT,))


def _says(users: Mapping[str, Any], key: str) -> bool:
    """Whether the user has an own word on that default."""
    return dig(users, key, "drop") is not None if key == CAPABILITIES else users.get(key) is not None


def _without_contradicted(defaults: Mapping[str, Any], settings: Workload) -> dict[str, Any]:
    gone = {key for found in _contradictions(settings) for key in found.defaults}
    return {key: value for key, value in defaults.items() if key not in gone}
