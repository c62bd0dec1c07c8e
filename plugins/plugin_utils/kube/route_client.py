# SPDX-License-Identifier: Apache-2.0
"""OpenShift Routes through OpenShift's own client library. Imported only when a Route has to be written.

The library's DynamicClient usually asks the API server for all its kinds and keeps the answer in a file in /tmp.
Routes have been served under one name since 2018, so it gets that name instead: no request, no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

try:
    from kubernetes.client import ApiClient
    from kubernetes.client.exceptions import ApiException
    from openshift.dynamic import DynamicClient, Resource
except ImportError as exc:  # for RouteObjects to raise, so that this module can be inspected without the packages
    _lacking: ImportError | None = exc
else:
    _lacking = None

from .api_error import NotFound, ObjectRef
from .api_objects import MERGE_PATCH
from .kinds import named
from .transport import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, Transport
from .values import FIELD_MANAGER, Manifest

__all__ = ["RouteObjects"]

ROUTE = named("Route")
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


class RouteObjects:
    """The operations of `ApiObjects` for Routes. Safe to use from several threads."""

    def __init__(self, transport: Transport, *, dry_run: bool = False, field_manager: str = FIELD_MANAGER) -> None:
        if _lacking:
            raise _lacking
        api_client = ApiClient(transport.configuration)
        api_client.rest_client.pool_manager = transport.pool
        api_client.user_agent = transport.user_agent
        self._transport = transport
        self._options: dict[str, Any] = {
            "serializer": lambda _client, parsed: parsed,
            "_request_timeout": (CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
        }
        self._write_options = {
            **self._options,
            "field_manager": field_manager,
            **({"dry_run": "All"} if dry_run else {}),
        }
        self._client = DynamicClient(api_client, discoverer=_routes_only)
        self._routes = self._client.resources

    def find(self, ref: ObjectRef) -> Manifest | None:
        """The Route, or None."""
        try:
            return self._call("GET", ref, "get", name=ref.name, namespace=ref.namespace, **self._options)
        except NotFound:
            return None

    def apply(self, manifest: Manifest, *, force: bool = True) -> Manifest:
        """Server-side apply as our field manager. `force` takes over fields that others own; without it, each that they
        have set to another value is a Conflict."""
        return self._apply(manifest, force_conflicts=force)

    def would_apply(self, manifest: Manifest) -> Manifest:
        """What `apply` would answer; nothing is stored."""
        return self._apply(manifest, dry_run="All")

    def create(self, manifest: Manifest) -> Manifest:
        """POST."""
        ref = ObjectRef.of(manifest)
        return self._call("POST", ref, "create", body=manifest, namespace=ref.namespace, **self._write_options)

    def merge(self, ref: ObjectRef, patch: Mapping[str, Any]) -> Manifest:
        """JSON merge patch."""
        where = {"name": ref.name, "namespace": ref.namespace, "content_type": MERGE_PATCH}
        return self._call("PATCH", ref, "patch", body=dict(patch), **where, **self._write_options)

    def delete(self, ref: ObjectRef, *, uid: str | None = None) -> bool:
        """Delete the Route (only the one with that uid, if given). False if it did not exist."""
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        if "dry_run" in self._write_options:
            body["dryRun"] = ["All"]
        try:
            self._call("DELETE", ref, "delete", name=ref.name, namespace=ref.namespace, body=body, **self._options)
        except NotFound:
            return False
        return True

    def _apply(self, manifest: Manifest, **more: Any) -> Manifest:
        ref = ObjectRef.of(manifest)
        options = {**self._write_options, "name": ref.name, "namespace": ref.namespace, "force_conflicts": True, **more}
        return self._call("PATCH", ref, "server_side_apply", body=manifest, **options)

    def _call(self, method: str, ref: ObjectRef, operation: str, **arguments: Any) -> Manifest:
        """One operation of the DynamicClient under the transport's rules for retries and errors."""
        answers: list[Manifest] = []

        def send() -> tuple[int, str, Mapping[str, str], bytes]:
            try:
                answers.append(getattr(self._routes, operation)(**arguments))
            except ApiException as exc:
                return exc.status or 0, exc.reason or "", exc.headers or {}, exc.body or b""
            return 200, "OK", {}, b""

        status, phrase, headers, body = self._transport.retrying(method, send, ref)
        if status != 200:
            raise self._transport.refused(status, phrase, headers, body, ref)
        return answers[-1]


def _routes_only(client: Any, cache_file: str | None) -> Any:
    """Takes the place of the library's discovery of kinds."""
    del cache_file
    return Resource(
        prefix="apis",
        group=ROUTE.group,
        api_version=ROUTE.version,
        kind=ROUTE.kind,
        name=ROUTE.plural,
        namespaced=ROUTE.namespaced,
        verbs=VERBS,
        preferred=True,
        client=client,
    )
