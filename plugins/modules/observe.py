# SPDX-License-Identifier: Apache-2.0
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: observe
short_description: Read everything in the cluster that belongs to one Immich instance
version_added: 0.1.0
description:
  - Reads the custom resource, all objects and pods that carry the instance's labels, the Secrets, ConfigMaps, volume
    claims and storage classes that the custom resource refers to, and which optional APIs the cluster has.
  - All requests go out together. The result is what the filters P(media.immich.plan#filter) and
    P(media.immich.report#filter) decide on.
author: The immich-operator authors (!UNKNOWN)
options:
  cr:
    description:
      - The custom resource, with V(metadata.name) and V(metadata.namespace), as a mapping or as JSON.
      - It need not exist in the cluster, and its kind need not be installed there.
    type: raw
    required: true
  is_current:
    description:
      - Whether O(cr) is what the cluster holds, or in check mode would hold, as M(media.immich.store) returns it. It is then
        not read again. One without a uid is not in the cluster at all.
    type: bool
    default: false
  as_json:
    description:
      - Return everything as one text in RV(json), for filters and actions of this collection to read.
      - Ansible looks at each value of a structure whenever an expression mentions it. Of a text there is one.
    type: bool
    default: false
extends_documentation_fragment: media.immich.connection
attributes:
  check_mode:
    description: Reads only, so check mode makes no difference.
    support: full
  diff_mode:
    description: Nothing is changed.
    support: none
notes:
  - The result holds Secrets. Set C(no_log).
seealso:
  - module: media.immich.apply
  - module: media.immich.k8s_status
"""

EXAMPLES = r"""
- name: Read the instance
  media.immich.observe:
    cr: "{{ immich_cr }}"
  register: immich_seen
  no_log: true # Secrets are among the objects
"""

RETURN = r"""
json:
  description:
    - All other values as one JSON text behind V(json:), which then are not returned themselves. The mark keeps
      ansible-core 2.18 from turning the text into a dict.
    - If something could not be read, the text holds C(problem), which says what, and C(cr). The task does not fail then,
      because its message would be hidden by C(no_log). P(media.immich.report#filter) hands it on to
      M(media.immich.k8s_status).
  returned: when O(as_json) is true
  type: str
  sample: 'json:{"cr": null, "deleting": false}'
cr:
  description: The custom resource as it is stored, null when it does not exist or its kind is not installed.
  returned: success
  type: dict
  sample: {apiVersion: media.rm3l.org/v1alpha1, kind: Immich, metadata: {name: photos, namespace: default}}
deleting:
  description: Whether the stored custom resource is being deleted.
  returned: success
  type: bool
  sample: false
apis:
  description: Which optional APIs the cluster has.
  returned: success
  type: dict
  contains:
    immich:
      description: The custom resource definition is installed.
      type: bool
    route:
      description: OpenShift Routes are served.
      type: bool
  sample: {immich: true, route: false}
openshift:
  description: Whether the platform assigns user ids to pods.
  returned: success
  type: bool
  sample: false
objects:
  description: The objects in the namespace with the labels of the instance, each with V(apiVersion) and V(kind).
  returned: success
  type: list
  elements: dict
  sample: [{apiVersion: v1, kind: Service, metadata: {name: photos-server, namespace: default}}]
pods:
  description: The pods with the labels of the instance.
  returned: success
  type: list
  elements: dict
  sample: [{apiVersion: v1, kind: Pod, metadata: {name: photos-server-7d5c-x2x, namespace: default}}]
references:
  description: What the custom resource refers to by name.
  returned: success
  type: list
  elements: dict
  contains:
    apiVersion:
      description: API version of the object.
      type: str
    kind:
      description: Kind of the object.
      type: str
    name:
      description: Name of the object.
      type: str
    object:
      description: The object, null when it does not exist or must not be read.
      type: dict
    forbidden:
      description: Whether the API server refused to show it.
      type: bool
  sample: [{apiVersion: v1, kind: Secret, name: mail, object: null, forbidden: false}]
neighbours:
  description: The other custom resources of the namespace that may use a claim of this one, by name and spec.
  returned: success
  type: list
  elements: dict
  sample: [{metadata: {name: second}, spec: {immich: {persistence: {library: {existingClaim: photos-library}}}}}]
refusals:
  description: What the API server said when a StatefulSet that lacks pods was to get one, by the name of the StatefulSet.
  returned: success
  type: dict
  sample: {photos-postgres: "pods \"photos-postgres-0\" is forbidden: exceeded quota: compute"}
database_mounted_by:
  description: What else can write to the claim on which the database does not run yet, by kind and name.
  returned: success
  type: list
  elements: str
  sample: [Pod immich-postgresql-0, StatefulSet immich-postgresql]
"""
