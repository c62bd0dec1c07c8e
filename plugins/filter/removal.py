# SPDX-License-Identifier: Apache-2.0
"""The filter media.immich.removal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ..plugin_utils.kube.values import mapping, text
from ..plugin_utils.passes import removal as removing
from ..plugin_utils.spec.names import KIND

DOCUMENTATION = r"""
name: removal
short_description: The steps that take an Immich instance away and keep its data
version_added: 0.1.0
author: The immich-operator authors (!UNKNOWN)
description:
  - Says what to delete of an instance.
  - The library, the database volume and the database credentials are kept.
positional: _input
options:
  _input:
    description: The custom resource, of which only the name counts, as a mapping or as JSON.
    type: raw
    required: true
  seen:
    description: What M(media.immich.observe) returned for it, as a mapping or as JSON. The plan then is of the same sort.
    type: raw
    required: true
seealso:
  - module: media.immich.apply
"""

EXAMPLES = r"""
- name: Remove the instance
  media.immich.apply:
    plan: "{{ immich_cr | media.immich.removal(seen=immich_seen) }}"
    live: "{{ immich_seen }}"
"""

RETURN = r"""
_value:
  description: The plan.
  type: dict
  contains:
    steps:
      description: What to do, as M(media.immich.apply) takes it.
      type: list
      elements: dict
    state:
      description: V(deleting), or V(unread) when it is not known what there is.
      type: str
    kept:
      description: Kind and name of what stays.
      type: list
      elements: str
      sample:
        - PersistentVolumeClaim photos-library
"""


def removal(cr: Any, seen: Any) -> Any:
    """The plan as plain values that Ansible will not take for templates, or as a JSON text where `seen` is one."""
    wanted, found = mapping(cr), mapping(seen)
    if wanted is None or not isinstance(wanted.get("metadata"), Mapping):
        raise AnsibleFilterError(
            f"media.immich.removal: give the whole custom resource as a mapping, not {type(cr).__name__}"
        )
    if (kind := wanted.get("kind") or KIND) != KIND:
        raise AnsibleFilterError(f"media.immich.removal: it knows what an {KIND} consists of, not what a {kind} does")
    if found is None:
        raise AnsibleFilterError("media.immich.removal: seen has to be what media.immich.observe returned")
    result = removing.removal(wanted, seen=found)
    return wrap_var(text(result) if isinstance(seen, str) else result)


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"removal": removal}
