# SPDX-License-Identifier: Apache-2.0
"""What the list of external libraries says, and what can never work in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ..kube.problems import Problem
from ..kube.values import items_in, mapping_in
from .fields import ExternalLibrary, Spec, read

__all__ = ["Entry", "ExternalLibrary", "place", "problems"]

Entry: TypeAlias = dict[str, Any]
"""A library as it stands in a custom resource."""

PATH = "spec.immich.externalLibraries"
BELOW = "/mnt/external"

_ABSOLUTE = re.compile(r"(/[^/:$\x00-\x1f\x7f]+)+")
_UPWARDS = re.compile(r"/[.]{1,2}(/|\Z)")
_NOT_OURS = re.compile(r"/(data|config|tmp|proc|sys|dev|etc|bin|sbin|lib|lib64|run|usr|var)(/|\Z)")
_FORMER = "/usr/src/app/external"
"""Where the manual of Immich once had it, and the database of many an instance still has it."""
_SOURCES = ("existingClaim", "nfs", "csi", "hostPath")


def place(library: ExternalLibrary) -> str:
    """Where Immich finds it."""
    return library.mount_path or f"{BELOW}/{library.name}"


def problems(spec: Mapping[str, Any]) -> Iterator[Problem]:
    """In the words of the CRD's rules."""
    for index, entry in enumerate(items_in(mapping_in(spec, "immich"), "externalLibraries")):
        if isinstance(entry, Mapping):
            yield from _entry(f"{PATH}[{index}]", entry)
    immich = read(Spec, spec).immich
    libraries = immich.external_libraries
    names = [library.name for library in libraries]
    if len(set(names)) < len(names):
        yield Problem(PATH, "two libraries have the same name", "Give each a name of its own")
    if _overlap(libraries):
        yield Problem(
            PATH,
            "two libraries are mounted at the same path, or one inside of another",
            "Give each a mountPath of its own",
        )
    if set(names) & set(immich.confirm_removed_libraries):
        yield Problem(
            "spec.immich.confirmRemovedLibraries",
            "a library is either mounted or removed",
            "Take its name out of confirmRemovedLibraries",
        )


def _entry(path: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    if sum(bool(entry.get(source)) for source in _SOURCES) != 1:
        what = "a library is in exactly one place"
        yield Problem(path, what, "Give one of existingClaim, nfs, csi and hostPath")
    at = entry.get("mountPath")
    if isinstance(at, str) and at and (not _ABSOLUTE.fullmatch(at) or _UPWARDS.search(at)):
        yield Problem(
            f"{path}.mountPath", "a mount path is absolute, without :, $, //, .. and / at its end", "Correct it"
        )
    if isinstance(at, str) and _NOT_OURS.match(at) and not f"{at}/".startswith(f"{_FORMER}/"):
        yield Problem(
            f"{path}.mountPath",
            "a library is mounted outside of Immich's own folders and those of the system",
            "Choose a path such as /mnt/external/photos",
        )


def _overlap(libraries: Sequence[ExternalLibrary]) -> bool:
    places = [f"{place(library)}/" for library in libraries]
    return any(
        other.startswith(one)
        for index, one in enumerate(places)
        for number, other in enumerate(places)
        if number != index
    )
