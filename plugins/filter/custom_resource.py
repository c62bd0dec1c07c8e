# SPDX-License-Identifier: Apache-2.0
"""The filter media.immich.custom_resource."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ..plugin_utils.kube.packages import missing
from ..plugin_utils.kube.values import plain
from ..plugin_utils.spec.custom_resources import Unusable, completed, from_text, with_namespace

DOCUMENTATION = r"""
name: custom_resource
short_description: The custom resource in the text of a YAML file, checked and with its defaults
version_added: 0.1.0
author: The immich-operator authors (!UNKNOWN)
description:
  - Reads the one custom resource in a text, fills in the defaults of its schema and checks it, as the API server would.
    It needs no cluster.
  - Its kind says which schema that is. This collection knows those whose CRD lies in its folder C(crds).
  - All problems are reported at once, each with the path of the field. Values of fields that may hold a
    secret are not quoted.
  - Text from the file is never treated as a template, whatever braces it contains.
positional: _input
options:
  _input:
    description: YAML with exactly one object, of a kind that this collection knows.
    type: str
    required: true
  namespace:
    description: Namespace for a custom resource that names none. Without it, the namespace is left out.
    type: str
  defaults:
    description:
      - Whether the result has the defaults of the schema, or only what the file says. It is checked either way.
    type: bool
    default: true
notes:
  - Rules about changes, such as that a volume cannot shrink, need the previous object and are left to the API server.
seealso:
  - plugin: media.immich.plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read and check a custom resource
  ansible.builtin.set_fact:
    immich_cr: "{{ lookup('ansible.builtin.file', 'photos.yaml') | media.immich.custom_resource(namespace='photos') }}"

- name: Check a custom resource that is in the playbook
  ansible.builtin.debug:
    msg: "{{ (text | media.immich.custom_resource).spec.immich.persistence.library.size }}"
  vars:
    text: |
      apiVersion: media.rm3l.org/v1alpha1
      kind: Immich
      metadata:
        name: photos
"""

RETURN = r"""
_value:
  description: The custom resource.
  type: dict
  contains:
    apiVersion:
      description: Group and version of the custom resource.
      type: str
      sample: media.rm3l.org/v1alpha1
    kind:
      description: Kind of the custom resource.
      type: str
      sample: Immich
    metadata:
      description: Name and namespace, and other metadata in the file.
      type: dict
      sample: {name: photos, namespace: default}
    spec:
      description: The spec, with all defaults unless these were declined.
      type: dict
      sample: {server: {enabled: true, replicas: 1}}
"""


def custom_resource(text: Any, namespace: str | None = None, defaults: bool = True) -> Any:
    """The custom resource, in built-in types that Ansible does not treat as templates."""
    if not isinstance(text, str):
        raise AnsibleFilterError(
            f"media.immich.custom_resource: give the text of a YAML file, not {type(text).__name__}"
        )
    try:
        cr = with_namespace(from_text(plain(text)), namespace)
        full = completed(cr)
    except Unusable as exc:
        raise AnsibleFilterError(f"media.immich.custom_resource: {exc}") from None
    except ImportError as exc:
        raise AnsibleFilterError(f"media.immich.custom_resource: {missing(exc)}") from exc
    return wrap_var(full if defaults else cr)


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"custom_resource": custom_resource}
