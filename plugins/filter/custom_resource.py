# SPDX-License-Identifier: Apache-2.0
"""The filter media.immich.custom_resource."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ..plugin_utils import crd
from ..plugin_utils.values import plain

DOCUMENTATION = r"""
name: custom_resource
short_description: The Immich custom resource in the text of a YAML file, checked and with its defaults
version_added: 0.1.0
author: The immich-operator authors
description:
  - Reads the one Immich custom resource in a text, fills in the defaults of its schema and checks it, as the API server
    would. It needs no cluster.
  - All that is wrong is reported at once, each problem with the path of the field. Values of fields that may hold a
    secret are not quoted.
  - Text from the file is never taken for a template, whatever braces it holds.
positional: _input
options:
  _input:
    description: YAML with exactly one object, an Immich.
    type: str
    required: true
  namespace:
    description: Namespace for a custom resource that names none. Without it, the namespace is left out.
    type: str
  defaults:
    description: Whether the result has the defaults of the schema, or is what the file says. It is checked either way.
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

- name: Check a custom resource that stands in the playbook
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
      description: Name and namespace, and what else the file says of them.
      type: dict
      sample: {name: photos, namespace: default}
    spec:
      description: The spec, with all defaults unless these were declined.
      type: dict
      sample: {server: {enabled: true, replicas: 1}}
"""

_WANTED = f"one {crd.KIND} ({crd.API_VERSION})"


def custom_resource(text: Any, namespace: str | None = None, defaults: bool = True) -> Any:
    """The custom resource out of built-in types that Ansible will not take for templates."""
    if not isinstance(text, str):
        raise _error(f"give the text of a YAML file, not {type(text).__name__}")
    cr = _only_one(_documents(plain(text)))
    if namespace and isinstance(cr.get("metadata"), Mapping) and not cr["metadata"].get("namespace"):
        cr = {**cr, "metadata": {**cr["metadata"], "namespace": namespace}}
    full, problems = crd.complete(cr)
    if problems:
        raise _error("\n".join([f"{_title(cr)} cannot work as it is:", *(f"  {problem}" for problem in problems)]))
    return wrap_var(full if defaults else cr)


def _documents(text: str) -> list[Any]:
    try:
        return [document for document in crd.documents(text) if document is not None]
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        what = f"this is not YAML: {getattr(exc, 'problem', None) or 'it cannot be read'}{where}"
        raise _error(what) from None  # newer ansible-core would repeat the cause, with parts of the text in it


def _only_one(documents: list[Any]) -> dict[str, Any]:
    """The only document; an error that names what was found where it is not the only one, or of another kind."""
    if not documents:
        raise _error(f"the text is empty. It needs {_WANTED}")
    others = [_title(document) for document in documents if not _is_immich(document)]
    if others:
        raise _error(f"the text holds {', '.join(others)}. Keep only {_WANTED} in it and apply the rest by kubectl")
    if len(documents) > 1:
        names = ", ".join(_title(document) for document in documents)
        raise _error(f"the text holds {len(documents)} custom resources: {names}. Put each into a file of its own")
    only: dict[str, Any] = documents[0]
    return only


def _is_immich(document: Any) -> bool:
    return isinstance(document, Mapping) and document.get("kind") == crd.KIND


def _title(document: Any) -> str:
    """How a message names an object: its kind and, if it has one, its name."""
    if not isinstance(document, Mapping) or not document.get("kind"):
        return "a document without kind"
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return f"{document['kind']} {name}" if name else f"{document['kind']} without name"


def _error(message: str) -> AnsibleFilterError:
    return AnsibleFilterError(f"media.immich.custom_resource: {message}")


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"custom_resource": custom_resource}
