# SPDX-License-Identifier: Apache-2.0
"""The sections of a plan. A play applies each in its own task, which a tag selects; an operator applies all at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from ..components import checksums, database_folder, exposure, keeping, registry
from ..kube.values import dig
from ..spec import names
from ..spec.names import Component
from . import pairing

KEYS = ("object", "target")


class Section(StrEnum):
    """Those that belong to no component. The others have the names of their components."""

    KEPT = "kept"  # makes the data outlive the instance
    CHECKSUM_KEY = "checksum-key"
    CUSTOM_RESOURCE = "custom-resource"
    INGRESS = "ingress"
    CLEAN_UP = "clean-up"


def in_sections(steps: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The steps, each with its `section`, if it has none yet."""
    return [{"section": section_of(step), **step} for step in steps]


def section_of(step: Mapping[str, Any]) -> str:
    """By kind and component; what shows no component of ours, such as an object without our label, is CLEAN_UP."""
    kind, component = next(dig(step, key, "kind") for key in KEYS if key in step), step["component"]
    if kind == names.KIND:
        return str(Section.CUSTOM_RESOURCE)
    if kind in exposure.KINDS:
        return str(Section.INGRESS)
    if component == keeping.COMPONENT:
        return str(Section.KEPT)
    if component == checksums.COMPONENT:
        return str(Section.CHECKSUM_KEY)
    if component in (pairing.COMPONENT, database_folder.COMPONENT):
        return str(Component.POSTGRES)
    return str(component if component in registry.names() else Section.CLEAN_UP)
