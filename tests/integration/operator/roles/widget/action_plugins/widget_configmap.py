# SPDX-License-Identifier: Apache-2.0
"""Server-side apply of one ConfigMap, by nothing but the variables of a play, as any role's tools would do it."""

from __future__ import annotations

import json
import os

from ansible.plugins.action import ActionBase
from kubernetes.client.configuration import Configuration
from kubernetes.client.rest import RESTClientObject
from kubernetes.config import load_kube_config


class ActionModule(ActionBase):
    """Argument: `widget`, the custom resource."""

    def run(self, *_args, **_kwargs):
        widget = self._task.args["widget"]
        namespace, name = str(widget["metadata"]["namespace"]), str(widget["metadata"]["name"])
        spec = widget.get("spec")
        message = str(spec.get("message", "")) if isinstance(spec, dict) else ""
        configuration = Configuration()
        file, context = os.environ["K8S_AUTH_KUBECONFIG"], os.environ.get("K8S_AUTH_CONTEXT")
        load_kube_config(file, context=context, client_configuration=configuration)
        token = configuration.auth_settings().get("BearerToken", {}).get("value")
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"{name}-widget",
                "labels": {"app.kubernetes.io/managed-by": "widget-operator", "app.kubernetes.io/instance": name},
            },
            "data": {"message": message},
        }
        answer = RESTClientObject(configuration).pool_manager.request(
            "PATCH",
            f"{configuration.host}/api/v1/namespaces/{namespace}/configmaps/{name}-widget?fieldManager=widget&force=true",
            headers={"Content-Type": "application/apply-patch+yaml", **({"Authorization": token} if token else {})},
            body=json.dumps(body),
        )
        if answer.status >= 300:
            return {"failed": True, "msg": f"apply ConfigMap {name}-widget: {answer.status}"}
        created = answer.status == 201
        return {
            "changed": created,
            "report": {"changed": [f"created ConfigMap {name}-widget"] if created else []},
        }
