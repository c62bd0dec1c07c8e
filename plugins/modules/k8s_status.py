# SPDX-License-Identifier: Apache-2.0
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_status
short_description: Store the status of an object if it differs, and post Events about it
version_added: 0.1.0
description:
  - Takes the arguments of C(operator_sdk.util.k8s_status).
  - Writes only if the stored status differs, and only over the status that was read. If somebody else wrote in
    between, it is read again once.
  - Conditions are merged by type. Their V(lastTransitionTime) moves only when V(status) changes, other fields such as
    V(observedGeneration) are stored as given.
  - An object that does not exist, or whose kind is not installed, is not a failure. The result then has
    RV(skipped_reason).
author: The immich-operator authors (!UNKNOWN)
options:
  api_version:
    description: API version of the object.
    type: str
    default: v1
    aliases: [api, version]
  kind:
    description: Kind of the object.
    type: str
    required: true
  name:
    description: Name of the object.
    type: str
    required: true
  namespace:
    description: Namespace of the object, unless its kind is cluster-scoped.
    type: str
  status:
    description:
      - What to merge into the status. A key that is null is removed, a list is replaced.
      - May hold V(conditions), unless O(conditions) is given.
    type: dict
  conditions:
    description: Conditions to merge into the stored ones by type.
    type: list
    elements: dict
    suboptions:
      type:
        description: Type of the condition.
        type: str
        required: true
      status:
        description: Whether it holds.
        type: str
        choices: ["True", "False", "Unknown"]
        required: true
      reason:
        description: Why, as one word in camel case.
        type: str
      message:
        description: Why, for people.
        type: str
      observedGeneration:
        description: The generation of the object that this is about.
        type: int
      lastHeartbeatTime:
        description: When it was last checked (RFC 3339).
        type: str
      lastTransitionTime:
        description:
          - When O(conditions[].status) last changed (RFC 3339), by default the current time.
          - Used only if the status changes now.
        type: str
  replace:
    description: Make O(status) and O(conditions) the whole status. Everything else is removed.
    type: bool
    default: false
    aliases: [force]
  replace_lists:
    description: Remove stored conditions that are not given.
    type: bool
    default: false
  current:
    description: The object as read before, which saves a request.
    type: dict
  events:
    description: Events to post about the object once the status is stored. An Event that can't be posted is a warning.
    type: list
    elements: dict
    suboptions:
      type:
        description: Kind of Event.
        type: str
        choices: [Normal, Warning]
        default: Normal
      reason:
        description: Why, as one word in camel case.
        type: str
        required: true
      message:
        description: Why, for people. Cut to 1024 characters.
        type: str
  report:
    description:
      - What P(media.immich.report#filter) returned.
      - Its keys C(status), C(events), C(failures) and C(current) are used for the options of that name that are not
        given.
      - The rest of it is returned as RV(report), for whatever reads the results of the play.
    type: str
  failures:
    description: What the task has to fail for, once the status is stored and the Events are posted.
    type: list
    elements: str
extends_documentation_fragment: media.immich.connection
attributes:
  check_mode:
    description: Nothing is written, no Event is posted; RV(patch) has what would be sent.
    support: full
  diff_mode:
    description: Shows the status before and after.
    support: full
seealso:
  - module: media.immich.observe
  - module: media.immich.apply
"""

EXAMPLES = r"""
- name: Report that the instance is waiting
  media.immich.k8s_status:
    api_version: media.rm3l.org/v1alpha1
    kind: Immich
    name: photos
    namespace: default
    status:
      ready: false
    conditions:
      - type: Ready
        status: "False"
        reason: WaitingForRollout
        message: "Deployment photos-server: 0 of 1 pods are ready"
        observedGeneration: 1
    events:
      - type: Normal
        reason: WaitingForRollout
        message: "Deployment photos-server: 0 of 1 pods are ready"
"""

RETURN = r"""
result:
  description:
    - Type, name, uid, generation, version and status of the object as it is now, in check mode as it would be; null
      if there is none. The rest of the object may hold a password and is left out.
  returned: success
  type: dict
  sample: {apiVersion: media.rm3l.org/v1alpha1, kind: Immich, metadata: {name: photos}, status: {ready: false}}
patch:
  description: The JSON merge patch that was (in check mode, would be) sent for the status, empty if it was up to date.
  returned: success
  type: dict
  sample: {ready: false}
skipped_reason:
  description: Why no status was stored although there was no failure.
  returned: when the object does not exist
  type: str
  sample: Immich default/photos does not exist
report:
  description: O(report), without the keys that are used as options.
  returned: when O(report) is given
  type: dict
  sample: {changed: [created Deployment photos-server (server)]}
"""
