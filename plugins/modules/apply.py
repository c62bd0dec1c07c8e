# SPDX-License-Identifier: Apache-2.0
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apply
short_description: Carry out the steps of a plan, writing only what differs
version_added: 0.1.0
description:
  - Objects are written with server-side apply as field manager C(immich-operator), and only if the live object lacks
    something, has a different value somewhere, or still has a field of ours that is no longer wanted.
  - A step that the API server refuses does not hold back the others and does not fail the task. It is reported in
    RV(json).
  - If no API server can be reached, a task with O(steps) fails. One with O(plan) reports it in RV(json).
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
          - V(create) creates the object only if there is none of its name. It is sent as an apply without force, with a
            separate field manager, because the Operator SDK's runtime adds an owner to what is created with POST.
          - V(merge) sends a JSON merge patch, always.
          - V(delete) removes the object; its dependents are removed in the background.
        type: str
        choices: [apply, create, merge, delete]
        required: true
      component:
        description: Returned in the result.
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
        description: Steps of a lower stage run before those of a higher one, steps of the same stage in parallel.
        type: int
        default: 0
      after:
        description: Components; the step is skipped if a step of one of them failed that has a lower stage.
        type: list
        elements: str
      alone:
        description: A step with V(create) fails if somebody else makes the object at the same time, with other content.
        type: bool
        default: false
      section:
        description: The section by which O(section) selects the step.
        type: str
      needs:
        description: Sections that earlier tasks must have carried out, otherwise O(section) does not select the step.
        type: list
        elements: str
  plan:
    description:
      - Result of the filter P(media.immich.plan#filter) or P(media.immich.removal#filter), instead of O(steps).
      - Or RV(json) of a task that has carried out some of its sections, and to which this one adds another.
    type: str
  section:
    description: Carry out only the steps of this section of the plan, such as V(server). By default, all are carried out.
    type: str
  live:
    description:
      - RV(media.immich.observe#module:json), with the live objects. Whatever is not among them counts as absent.
      - Without it each object is read first.
    type: str
  field_manager:
    description: The owner of the fields that are written. Fields applied under another name are not removed.
    type: str
    default: immich-operator
extends_documentation_fragment: media.immich.connection
attributes:
  check_mode:
    description: The API server validates each write and answers what it would store, but stores nothing.
    support: full
  diff_mode:
    description: Values in Secrets are masked.
    support: full
notes:
  - OpenShift Routes are written with the Python package C(openshift), which is needed only there.
  - The result can hold Secrets. Set C(no_log).
seealso:
  - module: media.immich.observe
  - module: media.immich.k8s_status
"""

EXAMPLES = r"""
- name: Carry out the plan
  media.immich.apply:
    plan: "{{ immich_seen.json | media.immich.plan(images=immich_images) }}"
    live: "{{ immich_seen.json }}"
  register: immich_outcome
  no_log: true # Secrets are among the objects

- name: Apply one object, whatever exists
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
  register: made
  failed_when: (made.json | from_json).results[0].error is not none
"""

RETURN = r"""
json:
  description:
    - The outcome of the plan, as one JSON text that begins with a space. The space keeps ansible-core 2.18 from turning
      the text into a dict; C(from_json) reads it.
    - C(results) has an entry per step, in the order in which they were carried out, with C(verb), C(component),
      C(section), C(stage), C(apiVersion), C(kind), C(namespace) and C(name), whether the API server C(changed)
      anything, the C(error) that says why the step failed and what to do about it, its C(status_code), the C(object) as
      it is now, and in C(rewritten) the paths of the fields of which a policy or a webhook makes something else at each
      write. The object then has the annotation C(media.rm3l.org/rewritten), and is not written again for their sake, until
      the API server says, when it is asked after ten minutes or later, that it would make something else of it.
      Entries of earlier tasks come first.
    - C(plan) is what O(plan) holds, with the remaining steps; C(done) are the sections that were carried out, and
      C(left) those of the remaining steps.
    - With C(--diff) there are C(changes), for M(media.immich.show_diff).
    - If there was no API server to write to, C(problem) says so, and a task with O(plan) does not fail, because its
      message would be hidden by C(no_log). P(media.immich.report#filter) passes it on to M(media.immich.k8s_status).
  returned: success
  type: str
  sample: ' {"plan": {"state": "present", "steps": [], "notices": []}, "results": [], "done": [], "left": [], "changes": []}'
"""
