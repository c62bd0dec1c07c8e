# SPDX-License-Identifier: Apache-2.0
"""The filter media.immich.summary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ..plugin_utils.kube.values import plain, structure
from ..plugin_utils.passes import summary as summarising

DOCUMENTATION = r"""
name: summary
short_description: What the end of a play says about an Immich instance
version_added: 0.1.0
author: The immich-operator authors (!UNKNOWN)
description:
  - Conditions and address of an instance as lines, and whether the play has failed.
positional: _input
options:
  _input:
    description: What P(media.immich.report#filter) returned, or RV(media.immich.wait#module:json).
    type: str
    required: true
  name:
    description: Name of the instance.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    required: true
  is_stored:
    description:
      - Whether there is a custom resource that has the status. A play then does not fail because of what the conditions
        say, but because of what the API server refused.
    type: bool
    default: false
  waited:
    description: How many seconds the play has waited for the instance to become ready. Not given if it has not waited.
    type: float
seealso:
  - plugin: media.immich.report
    plugin_type: filter
  - module: media.immich.wait
"""

EXAMPLES = r"""
- name: Show the state
  ansible.builtin.debug:
    msg: "{{ (report | media.immich.summary(name='photos', namespace='default')).lines }}"
  vars:
    report: "{{ immich_outcome.json | media.immich.report(seen=immich_seen.json) }}"
"""

RETURN = r"""
_value:
  description: The summary.
  type: dict
  contains:
    lines:
      description: The state of the instance.
      type: list
      elements: str
      sample:
        - "Immich default/photos: not ready"
    problem:
      description: Why the play has failed, null if it has not.
      type: str
    has_status:
      description:
        - Whether there is a status to be stored. There is none of an instance of which only a part was applied.
      type: bool
"""


def summary(report: Any, name: Any, namespace: Any, is_stored: bool = False, waited: float | None = None) -> Any:
    """{"lines", "problem"} in built-in types that Ansible does not treat as templates."""
    told = structure(report)
    if told is None:
        raise AnsibleFilterError("media.immich.summary: give what media.immich.report returned")
    return wrap_var(
        summarising.summary(told, name=plain(name), namespace=plain(namespace), is_stored=is_stored, waited=waited)
    )


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"summary": summary}
