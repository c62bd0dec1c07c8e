# SPDX-License-Identifier: Apache-2.0
"""Options that all actions of this collection share."""

from __future__ import annotations


class ModuleDocFragment:
    """The connection to an API server, as in the modules of kubernetes.core."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - A kubeconfig file, or its content as a mapping.
      - Falls back to E(K8S_AUTH_KUBECONFIG), then E(KUBECONFIG), then the service account of the pod in which the task
        runs, then C(~/.kube/config).
    type: raw
  context:
    description: The context of the kubeconfig to use, its current context if unset. Falls back to E(K8S_AUTH_CONTEXT).
    type: str
  host:
    description: Address of the API server, instead of the one in the kubeconfig. Falls back to E(K8S_AUTH_HOST).
    type: str
  api_key:
    description: Bearer token. Falls back to E(K8S_AUTH_API_KEY).
    type: str
  username:
    description: Name for HTTP basic authentication. Falls back to E(K8S_AUTH_USERNAME).
    type: str
  password:
    description: Password for HTTP basic authentication. Falls back to E(K8S_AUTH_PASSWORD).
    type: str
  validate_certs:
    description: Whether the API server must present a trusted certificate. Falls back to E(K8S_AUTH_VERIFY_SSL).
    type: bool
    aliases: [verify_ssl]
  ca_cert:
    description: File with the certificate authorities to trust. Falls back to E(K8S_AUTH_SSL_CA_CERT).
    type: path
    aliases: [ssl_ca_cert]
  client_cert:
    description: File with a client certificate. Falls back to E(K8S_AUTH_CERT_FILE).
    type: path
    aliases: [cert_file]
  client_key:
    description: File with the key of O(client_cert). Falls back to E(K8S_AUTH_KEY_FILE).
    type: path
    aliases: [key_file]
  proxy:
    description: Address of an HTTP proxy to the API server. Falls back to E(K8S_AUTH_PROXY).
    type: str
  persist_config:
    description:
      - Whether tokens that are renewed while connecting are stored in the kubeconfig.
      - Falls back to E(K8S_AUTH_PERSIST_CONFIG).
    type: bool
notes:
  - The requests are made by the Ansible controller itself, not in a connection plugin or a module process.
  - Requests that can safely be sent twice are retried for up to ten seconds if the API server is busy or the
    connection breaks.
requirements:
  - kubernetes >= 33.1 (Python package)
"""
