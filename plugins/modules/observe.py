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
  - All requests are sent in parallel. The result is what the filters P(media.immich.plan#filter) and
    P(media.immich.report#filter) decide on.
author: The immich-operator authors (!UNKNOWN)
options:
  cr:
    description:
      - The custom resource, with V(metadata.name) and V(metadata.namespace). Either O(cr) or O(stored) must be given.
      - It need not exist in the cluster, and its kind need not be installed there.
    type: dict
  stored:
    description:
      - RV(media.immich.store#module:json), instead of O(cr). What was stored is not read again.
    type: str
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
    - The state, as one JSON text that begins with a space, for filters and actions of this collection to read. Ansible
      would examine each value of a structure whenever an expression mentions it. The space keeps ansible-core 2.18 from
      turning the text into a dict; C(from_json) reads it.
    - C(given) is the custom resource that was passed in, C(cr) the one that is stored, null if it does not exist or its
      kind is not installed, and C(deleting) whether that is being deleted.
    - C(apis) says which optional APIs the cluster has, and C(openshift) whether the platform assigns user ids to pods.
    - C(objects) and C(pods) are those of the namespace with the labels of the instance.
    - C(references) are what the custom resource refers to by name, with C(apiVersion), C(kind), C(name), the C(object),
      null if it does not exist or may not be read, and whether it is C(forbidden).
    - C(neighbours) are the other custom resources of the namespace that may use a claim of this one, by name and by
      what their spec says of claims.
    - C(refusals) are the API server's answers when a StatefulSet that lacks pods was to get one, by StatefulSet name.
    - C(events) are those of the pods and claims that are not well for ten seconds or longer, by the uid of the pod or
      claim, each with C(reason), C(message) and when it was last seen (C(at), in seconds since the epoch). Values of
      Secrets that are among the objects are replaced by C(***). C(now) is when all this was read.
    - C(database_mounted_by) is what else can write to the claim on which the database does not run yet, by kind and
      name.
    - If something could not be read, there are only C(given), C(cr) and C(problem), which says what it was. The task
      does not fail then, because its message would be hidden by C(no_log). P(media.immich.report#filter) passes it on
      to M(media.immich.k8s_status).
  returned: success
  type: str
  sample: ' {"given": {}, "cr": null, "deleting": false, "objects": []}'
"""
