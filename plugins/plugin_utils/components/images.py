# SPDX-License-Identifier: Apache-2.0
"""Which image a component runs, and the versions that a deployed operator comes with."""

from __future__ import annotations

from collections.abc import Mapping

from . import registry

DEFAULT_IMAGES = {name: image.default for name, image in registry.all_images().items()}
"""What config/manager sets as RELATED_IMAGE_* (a test compares them); used as they are where no operator is deployed."""
IMAGE_VARIABLES = {name: image.variable for name, image in registry.all_images().items()}


def images_from_environment(environment: Mapping[str, str], *, fall_back: bool = False) -> dict[str, str]:
    """{component or older image: image} from RELATED_IMAGE_*; `fall_back` fills gaps as in a deployed operator."""
    found = {
        name: environment.get(image.variable) or (image.default if fall_back else "")
        for name, image in registry.all_images().items()
    }
    return {name: image for name, image in found.items() if image}
