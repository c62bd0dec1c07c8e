# SPDX-License-Identifier: Apache-2.0
"""Which image a component runs, and the versions that a deployed operator comes with."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .names import Component

DEFAULT_IMAGES = {
    Component.SERVER: "ghcr.io/immich-app/immich-server:v3.1.0",
    Component.MACHINE_LEARNING: "ghcr.io/immich-app/immich-machine-learning:v3.1.0",
    Component.VALKEY: "docker.io/valkey/valkey:9-alpine",
    Component.POSTGRES: "ghcr.io/immich-app/postgres:14-vectorchord0.4.3-pgvectors0.2.0",
}
"""What config/manager sets as RELATED_IMAGE_* (a test compares them); used as they are where no operator is deployed."""

IMAGE_VARIABLES = {
    Component.SERVER: "RELATED_IMAGE_immich",
    Component.MACHINE_LEARNING: "RELATED_IMAGE_machineLearning",
    Component.VALKEY: "RELATED_IMAGE_valkey",
    Component.POSTGRES: "RELATED_IMAGE_postgres",
}


def images_from_environment(environment: Mapping[str, str], *, fall_back: bool = False) -> dict[str, str]:
    """{component: image} from RELATED_IMAGE_* variables; `fall_back` fills gaps with DEFAULT_IMAGES."""
    found = {str(component): environment.get(variable, "") for component, variable in IMAGE_VARIABLES.items()}
    if fall_back:
        found = {component: image or DEFAULT_IMAGES[Component(component)] for component, image in found.items()}
    return {component: image for component, image in found.items() if image}


def release_of(image: str) -> tuple[int, int] | None:
    """(major, minor) that the tag of an image names, such as (3, 1) for `v3.1.0`; None where it names none."""
    name = image.partition("@")[0].rpartition("/")[2]
    found = re.match(r"v?([0-9]{1,4})\.([0-9]{1,4})(?:[.+-]|$)", name.partition(":")[2])
    return (int(found[1]), int(found[2])) if found else None
