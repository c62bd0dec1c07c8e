# SPDX-License-Identifier: Apache-2.0
"""The filter media.immich.report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ..plugin_utils import status
from ..plugin_utils.values import plain

DOCUMENTATION = r"""
name: report
short_description: The status of an Immich instance after a pass
version_added: 0.1.0
author: The immich-operator authors
description:
  - Says from what a pass did and saw what to write to the status of the custom resource and which Events to post.
positional: _input
options:
  _input:
    description: What M(media.immich.apply) returned for a plan of P(media.immich.plan#filter).
    type: dict
    required: true
  seen:
    description: What M(media.immich.observe) returned.
    type: dict
    required: true
seealso:
  - module: media.immich.apply
  - module: media.immich.k8s_status
  - plugin: media.immich.plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Fail when an object was refused
  ansible.builtin.fail:
    msg: "{{ (immich_outcome | media.immich.report(seen=immich_seen)).failures | join('; ') }}"
  when: (immich_outcome | media.immich.report(seen=immich_seen)).failures | length > 0
"""

RETURN = r"""
_value:
  description: The report.
  type: dict
  contains:
    status:
      description: The status to write, null for an instance that is on its way out.
      type: dict
    events:
      description: Events to post, each with C(type), C(reason) and C(message).
      type: list
      elements: dict
    failures:
      description: What the pass has to be tried again for.
      type: list
      elements: str
    changed:
      description: What the pass did to which object.
      type: list
      elements: str
      sample:
        - created Deployment photos-server
    observed:
      description: Resource versions of all objects that the instance consists of or names, null when it is going.
      type: dict
      sample:
        dependents: {Deployment/photos-server: "4711"}
        references: {Secret/photos-postgres-credentials: "4700"}
"""


def report(outcome: Any, seen: Any) -> Any:
    """The report as a dict of plain values that Ansible will not take for templates."""
    if not isinstance(outcome, Mapping) or not isinstance(outcome.get("plan"), Mapping):
        raise AnsibleFilterError("media.immich.report: give what media.immich.apply returned for a plan")
    if not isinstance(seen, Mapping):
        raise AnsibleFilterError("media.immich.report: seen has to be what media.immich.observe returned")
    return wrap_var(status.report(plain(outcome["plan"]), plain(outcome), plain(seen)))


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"report": report}
