# SPDX-License-Identifier: Apache-2.0
"""The filter media.immich.plan."""

from __future__ import annotations

import os
import secrets
import string
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ..plugin_utils.components.images import images_from_environment
from ..plugin_utils.faults import without_text
from ..plugin_utils.kube.values import plain, structure
from ..plugin_utils.passes import planning
from ..plugin_utils.spec.names import KIND

DOCUMENTATION = r"""
name: plan
short_description: The steps that bring a cluster in line with an Immich custom resource
version_added: 0.1.0
author: The immich-operator authors (!UNKNOWN)
description:
  - Renders every object of an instance and says what to apply, create, patch and delete.
  - The same input gives the same plan, except for the password of a database that has none yet.
positional: _input
options:
  _input:
    description: RV(media.immich.observe#module:json).
    type: str
    required: true
  images:
    description:
      - Image of each component (V(server), V(machine-learning), V(valkey), V(postgres)) that names none. V(postgres14) is for
        data of PostgreSQL 14.
      - What is missing or empty is taken from E(RELATED_IMAGE_immich), E(RELATED_IMAGE_machineLearning),
        E(RELATED_IMAGE_valkey), E(RELATED_IMAGE_postgres) and E(RELATED_IMAGE_postgres14).
    type: dict
    default: {}
  default_images:
    description: Whether what is still missing is filled with the images that a deployed operator comes with.
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
    plan: "{{ immich_seen.json | media.immich.plan(images=immich_images) }}"
    live: "{{ immich_seen.json }}"
  register: immich_outcome
  no_log: true # Secrets are among the objects
"""

RETURN = r"""
_value:
  description:
    - The plan, as one JSON text that begins with a space. Its only key C(plan) holds C(cr), the custom resource that
      the plan is for, the live one if there is one; C(state), which is V(present), or V(deleting), V(gone) or V(unread)
      if there is nothing to apply; C(steps), what to do as M(media.immich.apply) takes it; and C(notices), what the
      user should know.
  type: str
  sample: ' {"plan": {"cr": {}, "state": "present", "steps": [], "notices": []}}'
"""

ALPHABET = string.ascii_letters + string.digits
PASSWORD_LENGTH = 32


def plan(seen: Any, images: Any = None, default_images: bool = False) -> Any:
    """The plan as a text (`Plan.as_text`) that Ansible does not treat as a template."""
    found = structure(seen)
    if found is None or "given" not in found:
        raise AnsibleFilterError("media.immich.plan: give what media.immich.observe returned as `json`")
    if (kind := found["given"].get("kind") or KIND) != KIND:
        raise AnsibleFilterError(f"media.immich.plan: it knows what an {KIND} consists of, not what a {kind} does")
    password = "".join(secrets.choice(ALPHABET) for _unused in range(PASSWORD_LENGTH))
    given = {name: image for name, image in plain(images or {}).items() if image}
    chosen = images_from_environment(os.environ, fall_back=default_images) | given
    with without_text("media.immich.plan", AnsibleFilterError):
        planned = planning.plan(found["given"], seen=found, images=chosen, new_password=password).as_text()
    return wrap_var(planned)


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"plan": plan}
