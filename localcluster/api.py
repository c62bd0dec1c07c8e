# SPDX-License-Identifier: Apache-2.0
"""A small helper over the `kubernetes` client: any kind by its name, objects as plain dicts, waiting with a watch."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
from kubernetes import client, config

from localcluster import discovery
from localcluster.errors import ApiError, LocalClusterError, WaitError

__all__ = ["Api", "Manifest"]

Manifest = dict[str, Any]
Manifests = list[Manifest]  # an alias, because `list` is a method below

USER_AGENT = "localcluster-tests"
FIELD_MANAGER = "localcluster-tests"
_REQUEST_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class _Selection:
    """Objects to list or watch; selectors as in kubectl, empty for all."""

    kind: str
    namespace: str | None
    labels: str = ""
    fields: str = ""

    @property
    def query(self) -> dict[str, str]:
        pairs = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {name: value for name, value in pairs.items() if value}

    def __str__(self) -> str:
        place = f" in namespace {self.namespace}" if self.namespace else ""
        chosen = ", ".join(value for value in self.query.values())
        return f"{self.kind}{f' with {chosen}' if chosen else ''}{place}"


class Api:
    """Requests to one cluster. `kind` is `Pod`, or `apps/v1/Deployment` if several groups have the name.

    Safe to use from several threads. Every refusal raises ApiError, except where a method says otherwise.
    """

    def __init__(self, kubeconfig: Path, *, user_agent: str = USER_AGENT) -> None:
        settings = client.Configuration()
        config.load_kube_config(config_file=str(kubeconfig), client_configuration=settings)
        # The cluster is on this machine; a proxy from the environment would not reach it.
        settings.proxy = None
        settings.connection_pool_maxsize = 32
        self._client = client.ApiClient(settings)
        self._host = str(settings.host)
        # Empty with a client certificate, which is part of the connection.
        self._authorization = "".join(entry["value"] or "" for entry in settings.auth_settings().values())
        self._user_agent = user_agent
        self._resources: dict[str, discovery.Resource] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all connections."""
        self._client.rest_client.pool_manager.clear()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Manifest:
        """One request to a path such as /version; the answer as a dict (`{"text": ...}` if it isn't JSON)."""
        data = None if body is None else json.dumps(body).encode()
        sent = {"Accept": "application/json", "Content-Type": "application/json", **(headers or {})}
        with self._open(method, _url(path, query), data, sent, _REQUEST_TIMEOUT_S) as response:
            return _decoded(response.read())

    def get(self, kind: str, name: str, namespace: str | None = None) -> Manifest:
        """The live object."""
        return self.request("GET", self._path(kind, namespace, name))

    def find(self, kind: str, name: str, namespace: str | None = None) -> Manifest | None:
        """The live object, None if there is none."""
        try:
            return self.get(kind, name, namespace)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = "") -> Manifests:
        """The objects of a namespace (None: of all), with kind and apiVersion filled in. Selectors as in kubectl."""
        return self._list(_Selection(kind, namespace, labels, fields))[0]

    def create(self, manifest: Manifest) -> Manifest:
        """POST the object; returns what the API server stored."""
        return self.request("POST", self._path_of(manifest, with_name=False), body=manifest)

    def apply(self, manifest: Manifest, *, field_manager: str = FIELD_MANAGER) -> Manifest:
        """Server-side apply with force."""
        return self.request(
            "PATCH",
            self._path_of(manifest, with_name=True),
            body=manifest,
            query={"fieldManager": field_manager, "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml"},
        )

    def merge_patch(
        self, kind: str, name: str, namespace: str | None, patch: Manifest, *, subresource: str = ""
    ) -> Manifest:
        """JSON merge patch of the object or of a subresource such as `status`."""
        path = self._path(kind, namespace, name) + (f"/{subresource}" if subresource else "")
        return self.request("PATCH", path, body=patch, headers={"Content-Type": "application/merge-patch+json"})

    def replace(self, manifest: Manifest, *, subresource: str = "") -> Manifest:
        """PUT the whole object, or a subresource such as `status` of it."""
        path = self._path_of(manifest, with_name=True) + (f"/{subresource}" if subresource else "")
        return self.request("PUT", path, body=manifest)

    def delete(
        self, kind: str, name: str, namespace: str | None = None, *, propagation: str = "Background", wait: bool = False
    ) -> None:
        """Delete the object; fine if there is none. With `wait` it is gone on return (30 s at most)."""
        try:
            path = self._path(kind, namespace, name)
            self.request("DELETE", path, query={"propagationPolicy": propagation})
        except ApiError as error:
            if error.status != 404:
                raise
        if wait:
            self.wait_gone(kind, name, namespace)

    def watch(
        self, kind: str, namespace: str | None = None, *, since: str, timeout: float, labels: str = ""
    ) -> Iterator[tuple[str, Manifest]]:
        """(event type, object) pairs after the resource version `since`, until `timeout` seconds have passed."""
        return self._watch(_Selection(kind, namespace, labels), since, timeout)

    def wait_for(
        self,
        kind: str,
        name: str,
        namespace: str | None,
        predicate: Callable[[Manifest], bool],
        timeout: float = 30.0,
    ) -> Manifest:
        """The object as soon as it exists and `predicate` holds.

        A KeyError, IndexError or TypeError of the predicate means "not yet": status fields appear late. WaitError
        after `timeout` seconds, with the last object in its text.
        """
        selection = _Selection(kind, namespace, fields=f"metadata.name={name}")
        return self._wait(selection, lambda found: bool(found) and predicate(found[0]), timeout)[0]

    def wait_served(self, crd: str, timeout: float = 30.0) -> None:
        """Wait until the kind of a CustomResourceDefinition is in discovery and can be listed.

        Both happen a moment after its condition Established, and `kubectl wait` fails while it has no conditions yet.
        """
        deadline = time.monotonic() + timeout

        def established(definition: Manifest) -> bool:
            conditions = definition.get("status", {}).get("conditions") or ()
            return any(entry["type"] == "Established" and entry["status"] == "True" for entry in conditions)

        spec = self.wait_for("CustomResourceDefinition", crd, None, established, timeout)["spec"]
        with self._lock:
            self._resources = {}  # it may have cached the kind from an earlier definition
        for kind in (
            f"{spec['group']}/{it['name']}/{spec['names']['kind']}" for it in spec["versions"] if it["served"]
        ):
            while not self._is_served(kind):
                if time.monotonic() > deadline:
                    raise WaitError(f"The API server does not serve the kind {kind} within {timeout:.0f} s")
                time.sleep(0.05)

    def _is_served(self, kind: str) -> bool:
        if self._known(kind) is None:
            return False
        try:
            self.list(kind)
        except ApiError as error:
            if error.status not in {404, 429}:  # 429: its storage is being set up
                raise
            return False
        return True

    def wait_for_list(
        self,
        kind: str,
        namespace: str | None,
        predicate: Callable[[Manifests], bool],
        timeout: float = 30.0,
        *,
        labels: str = "",
    ) -> Manifests:
        """All objects of a kind as soon as `predicate` of their list holds; otherwise as `wait_for`."""
        return self._wait(_Selection(kind, namespace, labels), predicate, timeout)

    def wait_gone(self, kind: str, name: str, namespace: str | None = None, timeout: float = 30.0) -> None:
        """Return when there is no such object any more."""
        selection = _Selection(kind, namespace, fields=f"metadata.name={name}")
        self._wait(selection, lambda found: not found, timeout)

    def _wait(self, selection: _Selection, predicate: Callable[[Manifests], bool], timeout: float) -> Manifests:
        deadline = time.monotonic() + timeout
        trouble = ""

        def holds(objects: Manifests) -> bool:
            nonlocal trouble
            try:
                answer = bool(predicate(objects))
            except (KeyError, IndexError, TypeError) as error:
                trouble = f" (it raised {error!r})"
                return False
            trouble = ""
            return answer

        while True:
            left = deadline - time.monotonic()
            last, version = self._list(selection)
            if holds(last):
                return last
            if left <= 0:
                break
            live = {_key(entry): entry for entry in last}
            try:
                for event, entry in self._watch(selection, version, left):
                    if event == "DELETED":
                        live.pop(_key(entry), None)
                    else:
                        live[_key(entry)] = entry
                    last = [*live.values()]
                    if holds(last):
                        return last
            except ApiError as error:
                if error.status != 410:
                    raise
        raise WaitError(f"{selection}: the condition did not hold within {timeout:g} s{trouble}; last: {_shown(last)}")

    def _list(self, selection: _Selection) -> tuple[Manifests, str]:
        resource = self._resource(selection.kind)
        answer = self.request("GET", resource.path(selection.namespace), query=selection.query)
        head = {"apiVersion": resource.api_version, "kind": resource.kind}
        return [head | item for item in answer["items"]], answer["metadata"]["resourceVersion"]

    def _watch(self, selection: _Selection, since: str, timeout: float) -> Iterator[tuple[str, Manifest]]:
        deadline = time.monotonic() + timeout
        path = self._resource(selection.kind).path(selection.namespace)
        headers = {"Accept": "application/json"}
        while (left := deadline - time.monotonic()) > 0:
            query = {"watch": "true", "resourceVersion": since, "timeoutSeconds": str(int(left) + 1), **selection.query}
            with self._open("GET", _url(path, query), None, headers, left) as response:
                for line in _lines(response, deadline):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise _refusal(f"watch {selection}", event["object"].get("code", 0), event["object"])
                    since = event["object"]["metadata"]["resourceVersion"]
                    yield event["type"], event["object"]

    @contextmanager
    def _open(
        self, method: str, url: str, data: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Iterator[Any]:
        """The response (urllib3's, not yet read) to a request that was not refused."""
        sent = {**headers, "User-Agent": self._user_agent}
        if self._authorization:
            sent["Authorization"] = self._authorization
        try:
            response = self._client.rest_client.pool_manager.request(
                method, self._host + url, body=data, headers=sent, timeout=timeout, preload_content=False, retries=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(f"{method} {url}", status=0, reason="Unreachable", message=str(error)) from error
        try:
            if response.status >= 400:
                raise _refusal(f"{method} {url}", response.status, _decoded(response.read()))
            yield response
        finally:
            # A half-read response (a watch) makes its connection unusable; one that was read to the end goes back to
            # the pool.
            response.close()
            response.release_conn()

    def _path_of(self, manifest: Manifest, *, with_name: bool) -> str:
        metadata = manifest["metadata"]
        kind = f"{manifest['apiVersion']}/{manifest['kind']}"
        path = self._path(kind, metadata.get("namespace"), metadata["name"])
        return path if with_name else path.rpartition("/")[0]

    def _path(self, kind: str, namespace: str | None, name: str) -> str:
        resource = self._resource(kind)
        if resource.namespaced and not namespace:
            raise LocalClusterError(f"{resource.kind} {name} needs a namespace")
        return resource.path(namespace, name)

    def _resource(self, kind: str) -> discovery.Resource:
        resource = self._known(kind)
        if resource is None:
            raise LocalClusterError(f"The API server serves no kind {kind}")
        return resource

    def _known(self, kind: str) -> discovery.Resource | None:
        with self._lock:
            if kind not in self._resources:
                # CRDs add kinds while tests run, so a miss asks again.
                answers = [
                    self.request("GET", root, headers={"Accept": discovery.ACCEPT}) for root in ("/api", "/apis")
                ]
                self._resources = discovery.resources(answers)
            return self._resources.get(kind)


def _url(path: str, query: Mapping[str, str] | None) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _decoded(data: bytes) -> Manifest:
    text = data.decode(errors="replace")
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {"text": text}


def _refusal(what: str, status: int, answer: Manifest) -> ApiError:
    message = str(answer.get("message") or answer.get("text") or "")[:2000]
    return ApiError(what, status=status, reason=str(answer.get("reason") or ""), message=message)


def _lines(response: Any, deadline: float) -> Iterator[bytes]:
    """Lines of a watch (a urllib3 response) as they arrive, until the server ends it or the deadline has passed."""
    buffer = b""
    try:
        for chunk in response.stream(None, decode_content=False):
            *complete, buffer = (buffer + chunk).split(b"\n")
            yield from (line for line in complete if line)
            if time.monotonic() > deadline:
                return
    except (urllib3.exceptions.ReadTimeoutError, urllib3.exceptions.ProtocolError):
        return


def _key(manifest: Manifest) -> tuple[str, str]:
    return manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]


def _shown(manifests: Manifests) -> str:
    """For an error message: without managedFields, which nobody reads and which would come first."""
    if not manifests:
        return "there is no such object"
    readable = []
    for manifest in manifests:
        metadata = {name: value for name, value in manifest["metadata"].items() if name != "managedFields"}
        readable.append(manifest | {"metadata": metadata})
    return json.dumps(readable, indent=1)[:20_000]
