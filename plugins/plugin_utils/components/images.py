# SPDX-License-Identifier: Apache-2.0
"""Which image a component runs, and the versions that a deployed operator comes with."""

from __future__ import annotations

from collections.abc import Mapping

from . import registry

DEFAULT_IMAGES = {component: image.default for component, image in registry.images().items()}
"""What config/manager sets as RELATED_IMAGE_* (a test compares them); used as they are where no operator is deployed."""
IMAGE_VARIABLES = {component: image.variable for component, image in registry.images().items()}


def images_from_environment(environment: Mapping[str, str], *, fall_back: bool = False) -> dict[str, str]:
    """{component: image} from RELATED_IMAGE_* variables; `fall_back` fills gaps with the images of a deployed operator."""
    found = {
        str(component): environment.get(image.variable) or (image.default if fall_back else "")
        for component, image in registry.images().items()
    }
    return {component: image for component, image in found.items() if image}
