# SPDX-License-Identifier: Apache-2.0
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: show_diff
short_description: Show what tasks that hide their results have changed, or would change
version_added: 0.1.0
description:
  - Ansible drops the diff of a task with C(no_log), and the results of M(media.immich.store) and M(media.immich.apply)
    can hold Secrets. This module shows the differences that they have found, in which all secrets are masked.
  - Reads and writes nothing.
author: The immich-operator authors (!UNKNOWN)
options:
  stored:
    description: RV(media.immich.store#module:json).
    type: str
  outcome:
    description: RV(media.immich.apply#module:json) of a run with C(--diff).
    type: str
attributes:
  check_mode:
    description: Check mode makes no difference.
    support: full
    details: Nothing is written anyway.
  diff_mode:
    description: The diff is its only output.
    support: full
seealso:
  - module: media.immich.apply
  - module: media.immich.store
"""

EXAMPLES = r"""
- name: Show what has changed
  media.immich.show_diff:
    outcome: "{{ immich_outcome.json }}"
  when: ansible_diff_mode
"""

RETURN = r""" # """
