# SPDX-License-Identifier: Apache-2.0
"""The filter media.immich.report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ..plugin_utils.faults import without_text
from ..plugin_utils.kube.values import structure, text
from ..plugin_utils.passes import status

DOCUMENTATION = r"""
name: report
short_description: The status of an Immich instance after a pass
version_added: 0.1.0
author: The immich-operator authors (!UNKNOWN)
description:
  - Decides from what a pass did and saw what to write to the status of the custom resource and which Events to post.
positional: _input
options:
  _input:
    description: RV(media.immich.apply#module:json) of a plan of P(media.immich.plan#filter).
    type: str
    required: true
  seen:
    description: RV(media.immich.observe#module:json).
    type: str
    required: true
seealso:
  - module: media.immich.apply
  - module: media.immich.k8s_status
  - plugin: media.immich.plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Report the outcome, and fail if an object was refused
  media.immich.k8s_status:
    api_version: media.rm3l.org/v1alpha1
    kind: Immich
    name: photos
    namespace: default
    report: "{{ immich_outcome.json | media.immich.report(seen=immich_seen.json) }}"
"""

RETURN = r"""
_value:
  description:
    - The report, as one JSON text that begins with a space.
    - C(status) is the status to write, null for an instance that is being deleted and for one of which only a part was
        applied. C(events) are the Events to post, each with C(type), C(reason) and C(message).
    - C(failures) are why the pass has to be tried again. C(changed) says what the pass did to which object of which
      section, such as C(created Deployment photos-server (server)).
    - C(kept) is kind and name of what stays of an instance that P(media.immich.removal#filter) removes. C(left) are the
      sections of the plan that were left out. Both are absent otherwise.
    - C(current) is the custom resource as it was read.
    - C(observed) has the resource versions of all objects that the instance consists of (C(dependents), by kind and
      name, such as C(Deployment/photos-server)) or names (C(references)). It is null if the instance is being deleted,
      or if another pass may have something to do although none of them changes.
    - C(requeue_after) is when to run another pass at the latest, such as C(15s), null if only a change requires one.
  type: str
  sample: ' {"status": {"ready": true}, "events": [], "failures": [], "changed": [], "current": {}}'
"""


def report(outcome: Any, seen: Any) -> Any:
    """The report (`passes.status.report`) as a text that Ansible does not treat as a template."""
    done, found = structure(outcome), structure(seen)
    if done is None or not isinstance(done.get("plan"), Mapping):
        raise AnsibleFilterError("media.immich.report: give what media.immich.apply returned for a plan as `json`")
    if found is None:
        raise AnsibleFilterError("media.immich.report: seen has to be what media.immich.observe returned as `json`")
    with without_text("media.immich.report", AnsibleFilterError):
        told = text(status.report(done["plan"], done, found))
    return wrap_var(told)


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"report": report}
