# SPDX-License-Identifier: Apache-2.0
"""What knows of Immich in the collection, for the few commands that need it. The loop itself runs any role."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

PLUGIN_UTILS = "ansible_collections.media.immich.plugins.plugin_utils"


def rendering() -> Any:
    """`documents`, `complete`, `offline_plan`, `images_from_environment`: functions of the collection; `planned_kind`: the
    kind that `offline_plan` is for.

    Raises:
        ImportError: the collection is not installed beside this package.
    """
    modules = {
        name: importlib.import_module(f"{PLUGIN_UTILS}.{name}")
        for name in ("spec.crd", "passes.offline", "components.images", "spec.names")
    }
    return SimpleNamespace(
        documents=modules["spec.crd"].documents,
        complete=modules["spec.crd"].complete,
        offline_plan=modules["passes.offline"].offline_plan,
        images_from_environment=modules["components.images"].images_from_environment,
        planned_kind=modules["spec.names"].KIND,
    )


class Packaged(NamedTuple):
    """What the collection provides for an operator that is not configured otherwise."""

    watches_file: Path
    crds: Path
    images: Mapping[str, str]
    """{variable: image} for the variables that a deployed operator has in its environment."""


def packaged() -> Packaged | None:
    """None if the collection is not installed beside this package."""
    try:
        images = importlib.import_module(f"{PLUGIN_UTILS}.components.images")
    except ImportError:
        return None
    root = Path(str(images.__file__)).parents[3]
    defaults = {images.IMAGE_VARIABLES[component]: image for component, image in images.DEFAULT_IMAGES.items()}
    return Packaged(root / "watches.yaml", root / "crds", defaults)
