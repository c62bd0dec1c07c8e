# SPDX-License-Identifier: Apache-2.0
"""The filter media.immich.with_default_images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils.images import DEFAULT_IMAGES
from ..plugin_utils.values import plain

DOCUMENTATION = r"""
name: with_default_images
short_description: Images of Immich's components, gaps filled with the ones that a deployed operator comes with
version_added: 0.1.0
author: The immich-operator authors
description:
  - A deployed operator has the images in its environment. Where none is deployed, this filter fills in the same ones.
positional: _input
options:
  _input:
    description: Image of each component, empty or missing where there is none.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Run the role where no operator is deployed
  ansible.builtin.import_role:
    name: media.immich.immich
  vars:
    immich_images: "{{ {'server': 'registry.example.com/immich-server:v3.1.0'} | media.immich.with_default_images }}"
"""

RETURN = r"""
_value:
  description: Image of each component.
  type: dict
  sample:
    valkey: docker.io/valkey/valkey:9-alpine
"""


def with_default_images(images: Any) -> dict[str, str]:
    """{component: image} for all four components."""
    if not isinstance(images, Mapping):
        raise AnsibleFilterError(f"media.immich.with_default_images: give a mapping, not {type(images).__name__}")
    given = plain(images)
    return {str(component): given.get(component) or image for component, image in DEFAULT_IMAGES.items()}


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"with_default_images": with_default_images}
