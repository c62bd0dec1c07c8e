# SPDX-License-Identifier: Apache-2.0
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apply
short_description: Carry out the steps of a plan, writing only what differs
version_added: 0.1.0
description:
  - Objects are written by server-side apply as field manager C(immich-operator), and only when the live object lacks
    something, has another value somewhere, or still has a field of ours that is no longer wanted.
  - A step that the API server refuses does not hold back the others and does not fail the task. It is reported in
    RV(results).
  - The task fails when no API server can be reached.
author: The immich-operator authors (!UNKNOWN)
options:
  steps:
    description: What to do. Either O(steps) or O(plan) must be given.
    type: list
    elements: dict
    suboptions:
      verb:
        description:
          - V(apply) makes the object as given.
          - V(create) makes the object only if there is none of its name. It is sent as an apply that forces nothing, by a
            field manager of its own, because to what is made by POST the Operator SDK's runtime adds an owner.
          - V(merge) sends a JSON merge patch, always.
          - V(delete) removes the object; what depends on it goes in the background.
        type: str
        choices: [apply, create, merge, delete]
        required: true
      component:
        description: Handed back in the result.
        type: str
      object:
        description: The manifest, for V(apply) and V(create). Keys that are null count as absent.
        type: dict
      target:
        description:
          - The object to V(merge) or V(delete), as V(apiVersion), V(kind), V(name), V(namespace).
          - With V(uid), only the object with that uid is deleted.
        type: dict
      patch:
        description: The merge patch.
        type: dict
      stage:
        description: Steps of a lower stage are done before those of a higher one, steps of one stage at the same time.
        type: int
        default: 0
      after:
        description: A component; the step is left out when one of that component's steps of a lower stage failed.
        type: str
  plan:
    description:
      - Result of the filter P(media.immich.plan#filter) or P(media.immich.removal#filter), instead of O(steps).
      - What else it holds is handed back as RV(plan).
      - Given as JSON, RV(plan) and RV(results) are handed back in RV(json).
    type: raw
  live:
    description:
      - The live objects, as a list or as the result of M(media.immich.observe), also as JSON. What is not among them
        counts as absent.
      - Without it each object is read first.
    type: raw
  field_manager:
    description: The owner of the fields that are written. Fields of an apply under another name are not removed.
    type: str
    default: immich-operator
extends_documentation_fragment: media.immich.connection
attributes:
  check_mode:
    description: The API server checks each write and answers what it would store, but stores nothing.
    support: full
  diff_mode:
    description: Values in Secrets are hidden.
    support: full
notes:
  - OpenShift Routes are written with the Python package C(openshift), which is needed only there.
  - The result can hold Secrets. Set C(no_log).
seealso:
  - module: media.immich.observe
  - module: media.immich.k8s_status
"""

EXAMPLES = r"""
- name: Make the cluster as planned
  media.immich.apply:
    plan: "{{ immich_cr | media.immich.plan(seen=immich_seen, images=immich_images) }}"
    live: "{{ immich_seen }}"
  register: immich_outcome
  no_log: true # Secrets are among the objects

- name: Make one object, whatever there is
  media.immich.apply:
    steps:
      - verb: apply
        object:
          apiVersion: v1
          kind: ConfigMap
          metadata:
            name: greeting
            namespace: default
          data:
            text: hello
"""

RETURN = r"""
json:
  description:
    - RV(plan) and RV(results) as one JSON text behind V(json:), which then are not returned themselves.
    - With C(--diff) it also holds C(changes), for M(media.immich.show_diff).
    - If there was no API server to write to, the text also holds C(problem), and the task does not fail, because its
      message would be hidden by C(no_log). P(media.immich.report#filter) hands it on to M(media.immich.k8s_status).
  returned: when O(plan) is given as JSON
  type: str
  sample: 'json:{"plan": {}, "results": []}'
plan:
  description: O(plan) less its steps.
  returned: when O(plan) is given
  type: dict
  sample: {state: present, notices: []}
results:
  description: One entry per step, in the order of the steps.
  returned: success
  type: list
  elements: dict
  contains:
    verb:
      description: As in the step.
      type: str
      sample: apply
    component:
      description: As in the step.
      type: str
      sample: server
    apiVersion:
      description: API version of the object.
      type: str
      sample: apps/v1
    kind:
      description: Kind of the object.
      type: str
      sample: Deployment
    name:
      description: Name of the object.
      type: str
      sample: photos-server
    changed:
      description: Whether the API server changed anything.
      type: bool
      sample: true
    error:
      description: Why the step failed and what to do about it, null when it did not fail.
      type: str
      sample: "Deployment default/photos-server: 403 Forbidden: exceeded quota: small"
    status_code:
      description: HTTP status code of a refusal, null when there was none or no answer at all.
      type: int
      sample: 403
    object:
      description: The object as the API server returned it, or the live object when nothing had to be done.
      type: dict
      sample: {apiVersion: apps/v1, kind: Deployment, metadata: {name: photos-server, namespace: default}}
"""
