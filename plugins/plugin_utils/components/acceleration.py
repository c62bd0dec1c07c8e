# SPDX-License-Identifier: Apache-2.0
"""Graphics cards and other accelerators: which image, which of Immich's settings, and what a pod asks its node for."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from ..kube.values import dig
from ..spec.fields import GPU, ImmichWorkload
from ..spec.images import variant_of
from . import pods
from .instance import Instance, Part
from .reasons import Reason

W = TypeVar("W", bound=ImmichWorkload)

RESOURCES = {
    "nvidia": "nvidia.com/gpu",
    "i915": "gpu.intel.com/i915",
    "xe": "gpu.intel.com/xe",
    "amd": "amd.com/gpu",
}
"""What the device plugins of the makers call one card. Intel's plugin names it after the driver in the node's kernel."""
VISIBLE = "NVIDIA_VISIBLE_DEVICES"


def with_card(settings: W, gpu: GPU) -> W:
    """The settings of a component with the card that its preset asks for, unless the user's resources name it."""
    resource = RESOURCES.get(gpu.device_plugin)
    if not resource or resource in (settings.resources.get("limits") or {}):
        return settings
    limits = {**(settings.resources.get("limits") or {}), resource: str(gpu.count)}
    return replace(settings, resources={**settings.resources, "limits": limits})


def tell_of_image(part: Part, image: str, acceleration: str, path: str) -> None:
    """That an image is used as it is, although another variant of it was asked for."""
    if acceleration != "none" and variant_of(image) != acceleration:
        part.warns(
            Reason.SETTING_IGNORED,
            f"{path}.acceleration is not used to choose an image, because {image} names no tag, or a digest. Name that of the "
            f"variant {acceleration} in {path}.image",
        )


def transcoding_settings(instance: Instance) -> dict[str, Any]:
    """Immich's settings for the chosen accelerator; none for `none`, so that what people choose themselves stays."""
    chosen = instance.spec.transcoding.acceleration
    return {} if chosen == "none" else {"ffmpeg": {"accel": chosen}}


def tell_of_transcoding(part: Part, instance: Instance, users: Mapping[str, Any]) -> None:
    """That the choice has no effect, because the user's settings say otherwise or there is no file."""
    chosen, theirs = instance.spec.transcoding.acceleration, dig(users, "ffmpeg", "accel")
    if chosen == "none":
        return
    if instance.spec.immich.configuration_kind == "None":
        because = "spec.immich.configurationKind is None. Choose it in Immich under Administration, Settings, Video Transcoding"
    elif theirs is not None and theirs != chosen:
        because = f"spec.immich.configuration.ffmpeg.accel is {theirs!r}. Remove one of the two"
    else:
        return
    part.warns(Reason.SETTING_IGNORED, f"spec.transcoding.acceleration is not used, because {because}")


def without_cards(gpu: GPU, users: Container[str]) -> list[dict[str, Any]]:
    """A variable that hides NVIDIA's cards from pods that want none.

    Immich's images ask for all of them, which gives them all where NVIDIA's runtime is the node's default. `users` are the
    names of the user's variables.
    """
    return [pods.variable(VISIBLE, "void")] if gpu.device_plugin == "none" and VISIBLE not in users else []
