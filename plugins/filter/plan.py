# SPDX-License-Identifier: Apache-2.0
"""The filter media.immich.plan."""

from __future__ import annotations

import os
import secrets
import string
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ..plugin_utils.components.images import images_from_environment
from ..plugin_utils.kube.values import mapping, plain
from ..plugin_utils.passes import planning
from ..plugin_utils.spec.names import KIND

DOCUMENTATION = r"""
name: plan
short_description: The steps that make a cluster what an Immich custom resource says
version_added: 0.1.0
author: The immich-operator authors (!UNKNOWN)
description:
  - Renders every object of an instance and says what to apply, create, patch and delete.
  - The same input gives the same plan, but for the password of a database that has none yet.
positional: _input
options:
  _input:
    description: The whole custom resource, with the defaults of its schema, as a mapping or as JSON.
    type: raw
    required: true
  seen:
    description: What M(media.immich.observe) returned, as a mapping or as JSON. The plan then is of the same sort.
    type: raw
    required: true
  images:
    description:
      - Image of each component (V(server), V(machine-learning), V(valkey), V(postgres)) that names none.
      - What is missing or empty is taken from E(RELATED_IMAGE_immich), E(RELATED_IMAGE_machineLearning),
        E(RELATED_IMAGE_valkey) and E(RELATED_IMAGE_postgres).
    type: dict
    default: {}
  default_images:
    description: Whether what is then still missing are the images that a deployed operator comes with.
    type: bool
    default: false
seealso:
  - module: media.immich.observe
  - module: media.immich.apply
  - plugin: media.immich.report
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Apply what is wanted and remove what is not
  media.immich.apply:
    plan: "{{ immich_cr | media.immich.plan(seen=immich_seen, images=immich_images) }}"
    live: "{{ immich_seen }}"
  no_log: true # Secrets are among the objects
"""

RETURN = r"""
_value:
  description: The plan.
  type: dict
  contains:
    cr:
      description: The custom resource that the plan is for, the live one where there is one.
      type: dict
    state:
      description: V(present), or V(deleting), V(gone) or V(unread), when there is nothing to apply.
      type: str
      sample: present
    steps:
      description: What to do, as M(media.immich.apply) takes it.
      type: list
      elements: dict
    notices:
      description: What the user should know, as P(media.immich.report#filter) takes it.
      type: list
      elements: dict
"""

ALPHABET = string.ascii_letters + string.digits
PASSWORD_LENGTH = 32


def plan(cr: Any, seen: Any, images: Any = None, default_images: bool = False) -> Any:
    """The plan as a dict of plain values that Ansible will not take for templates, or as a JSON text where `seen` is one."""
    wanted, found = mapping(cr), mapping(seen)
    if wanted is None or not isinstance(wanted.get("metadata"), Mapping):
        raise AnsibleFilterError(
            f"media.immich.plan: give the whole custom resource as a mapping, not {type(cr).__name__}"
        )
    if (kind := wanted.get("kind") or KIND) != KIND:
        raise AnsibleFilterError(f"media.immich.plan: it knows what an {KIND} consists of, not what a {kind} does")
    if found is None or not found.keys() & {"objects", "problem"}:
        raise AnsibleFilterError("media.immich.plan: seen has to be what media.immich.observe returned")
    password = "".join(secrets.choice(ALPHABET) for _unused in range(PASSWORD_LENGTH))
    given = {name: image for name, image in plain(images or {}).items() if image}
    chosen = images_from_environment(os.environ, fall_back=default_images) | given
    result = planning.plan(wanted, seen=found, images=chosen, new_password=password)
    return wrap_var(result.as_text() if isinstance(seen, str) else result.as_dict())


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"plan": plan}
