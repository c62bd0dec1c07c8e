# SPDX-License-Identifier: Apache-2.0
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: wait
short_description: Wait until an Immich instance is ready
version_added: 0.1.0
description:
  - Checks the instance every two seconds until it is ready or the time is up. It needs neither the custom resource in
    the cluster nor an operator, and writes nothing.
  - An instance that is not ready in time does not fail the task. P(media.immich.summary#filter) says why.
author: The immich-operator authors (!UNKNOWN)
options:
  stored:
    description: RV(media.immich.store#module:json).
    type: str
    required: true
  images:
    description: As for P(media.immich.plan#filter), with gaps filled by the images that a deployed operator comes with.
    type: dict
  report:
    description:
      - What P(media.immich.report#filter) returned for the pass before. If something was refused in it, there is no
        waiting, and RV(json) is this report.
    type: str
  timeout:
    description: How many seconds to wait at most.
    type: int
    default: 900
extends_documentation_fragment: media.immich.connection
attributes:
  check_mode:
    description: Waits for the existing instance, although nothing was changed.
    support: full
  diff_mode:
    description: Nothing is changed.
    support: none
seealso:
  - module: media.immich.store
  - plugin: media.immich.summary
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Wait until it is ready
  media.immich.wait:
    stored: "{{ stored.json }}"
    timeout: 600
  register: waited
  failed_when: not waited.ready
"""

RETURN = r"""
ready:
  description: Whether the instance is ready.
  returned: success
  type: bool
waited:
  description: How many seconds it took; null if there was no waiting.
  returned: success
  type: float
  sample: 31.5
json:
  description:
    - The last report as P(media.immich.report#filter) returns it, without the custom resource, as JSON after a space.
  returned: success
  type: str
"""
