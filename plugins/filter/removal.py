# SPDX-License-Identifier: Apache-2.0
"""The filter media.immich.removal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ..plugin_utils.faults import without_text
from ..plugin_utils.kube.values import structure, text
from ..plugin_utils.passes import removal as removing
from ..plugin_utils.spec.names import KIND

DOCUMENTATION = r"""
name: removal
short_description: The steps that remove an Immich instance and keep its data
version_added: 0.1.0
author: The immich-operator authors (!UNKNOWN)
description:
  - Says what to delete of an instance.
  - The library, the database volume and the database credentials are kept.
positional: _input
options:
  _input:
    description: RV(media.immich.observe#module:json). Only the name of the custom resource matters.
    type: str
    required: true
seealso:
  - module: media.immich.apply
"""

EXAMPLES = r"""
- name: Remove the instance
  media.immich.apply:
    plan: "{{ immich_seen.json | media.immich.removal }}"
    live: "{{ immich_seen.json }}"
  register: immich_outcome
  no_log: true # Secrets are among the objects
"""

RETURN = r"""
_value:
  description:
    - The plan, as one JSON text that begins with a space. Its only key C(plan) holds C(steps), what to do as
      M(media.immich.apply) takes it; C(state), which is V(deleting), or V(unread) if the state is not known; and
      C(kept), kind and name of what stays.
  type: str
  sample: ' {"plan": {"steps": [], "state": "deleting", "kept": ["PersistentVolumeClaim photos-library"]}}'
"""


def removal(seen: Any) -> Any:
    """{"plan": what `passes.removal` gives} as a text that Ansible does not treat as a template."""
    found = structure(seen)
    if found is None or "given" not in found:
        raise AnsibleFilterError("media.immich.removal: give what media.immich.observe returned as `json`")
    if (kind := found["given"].get("kind") or KIND) != KIND:
        raise AnsibleFilterError(f"media.immich.removal: it knows what an {KIND} consists of, not what a {kind} does")
    with without_text("media.immich.removal", AnsibleFilterError):
        planned = text({"plan": removing.removal(found["given"], seen=found)})
    return wrap_var(planned)


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"removal": removal}
