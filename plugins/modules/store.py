# SPDX-License-Identifier: Apache-2.0
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: store
short_description: Check an Immich custom resource, and store it if the cluster knows its kind
version_added: 0.1.0
description:
  - Takes a custom resource from a file, a variable, or a name and a spec, checks it as the API server would, and
    applies it if the cluster knows the kind Immich.
  - Give exactly one of O(file), O(cr) and O(name).
  - Never fails, because the task should have C(no_log), which would hide the reason. What is wrong is in RV(problem).
author: The immich-operator authors (!UNKNOWN)
options:
  file:
    description:
      - YAML file with one Immich, relative to the folder where Ansible was started. Nothing in it is a template.
    type: str
  cr:
    description: The custom resource, which may leave out what the schema has defaults for.
    type: dict
  name:
    description: Name of the instance.
    type: str
  spec:
    description: The spec that goes with O(name).
    type: dict
  namespace:
    description: Namespace for a custom resource that names none, V(default) if this is not given either.
    type: str
  state:
    description:
      - With V(absent), nothing is stored or removed. The result says which instance it is; only the name is checked.
    type: str
    choices: [present, absent]
    default: present
  field_manager:
    description: The owner of the fields that are written.
    type: str
    default: ansible-playbook
extends_documentation_fragment: media.immich.connection
attributes:
  check_mode:
    description: The API server validates the custom resource and answers what it would store, but stores nothing.
    support: full
  diff_mode:
    description: The difference is in RV(json), for M(media.immich.show_diff). Passwords, settings that hold secrets and
      values of environment variables are masked.
    support: full
notes:
  - The custom resource can hold a password. Set C(no_log).
seealso:
  - module: media.immich.observe
  - module: media.immich.show_diff
"""

EXAMPLES = r"""
- name: Store the custom resource
  media.immich.store:
    name: photos
    spec:
      immich:
        persistence:
          library:
            size: 100Gi
  register: stored
  no_log: true # it may hold a password in plain text

- name: Stop if it cannot work or was refused
  ansible.builtin.fail:
    msg: "{{ stored.problem }}"
  when: stored.problem is not none
"""

RETURN = r"""
problem:
  description: Why the custom resource cannot work or was refused, one line per problem, null if it is fine.
  returned: always
  type: str
json:
  description:
    - One JSON text that begins with a space, for M(media.immich.observe), M(media.immich.wait) and
      M(media.immich.show_diff).
    - C(cr) is the custom resource with all defaults, as stored if it is stored; C(changes) are what changed in it, as
      entries of a diff; and C(is_current) is false with O(state=absent), where something else may be stored.
  returned: when there is no problem
  type: str
name:
  description: Name of the instance.
  returned: when there is no problem
  type: str
  sample: photos
namespace:
  description: Namespace of the instance.
  returned: when there is no problem
  type: str
  sample: default
is_stored:
  description: Whether the cluster knows the kind, so that the custom resource can own objects and have a status.
  returned: when there is no problem
  type: bool
"""
