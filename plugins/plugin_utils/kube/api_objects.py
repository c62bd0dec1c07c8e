# SPDX-License-Identifier: Apache-2.0
"""What a pass does with objects, as requests: get, list, server-side apply, create, merge, delete."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from .api_error import ApiError, ObjectRef
from .resource_paths import BUILT_IN, Resource, path_of
from .values import FIELD_MANAGER, Manifest

__all__ = ["ApiObjects", "Requests"]

APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
PAGE_SIZE = 500
MAX_PAGES = 1000
WHOLE_LIST = "continue-not-supported"
"""Token of a list out of the cache of controller-runtime, which the Operator SDK's proxy answers from: it is whole."""


class Requests(Protocol):
    """The one method of a transport that is needed here."""

    def request(
        self,
        method: str,
        path: str,
        *,
        subject: ObjectRef | str = "",
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]: ...


class ApiObjects:
    """Operations on objects over a transport; all raise ApiError and Unreachable. Safe to use from several threads.

    `dry_run` asks the API server to check and answer as usual, but to store nothing. `known` are kinds that need no
    discovery.
    """

    def __init__(
        self,
        transport: Requests,
        *,
        dry_run: bool = False,
        field_manager: str = FIELD_MANAGER,
        known: Mapping[tuple[str, str], Resource] = BUILT_IN,
    ) -> None:
        self._known = known
        self._transport = transport
        self._field_manager = field_manager
        self._dry_run = {"dryRun": "All"} if dry_run else {}
        self._discovered: dict[str, dict[str, Resource]] = {}
        self._discovery = threading.Lock()

    def api_groups(self) -> dict[str, list[str]]:
        """{"apps": ["v1"], ...}: all groups with their versions, in one request."""
        answer = self._transport.request("GET", "/apis", subject="the list of API groups")
        return {
            group["name"]: [entry["version"] for entry in group["versions"]] for group in answer.get("groups") or ()
        }

    def find(self, ref: ObjectRef) -> Manifest | None:
        """The object, or None when it (or its kind) is not there."""
        try:
            return self._transport.request("GET", self._path(ref), subject=ref)
        except ApiError as exc:
            if exc.status_code == 404:
                return None
            raise

    def list(self, ref: ObjectRef, *, selector: str = "", fields: str = "") -> list[Manifest]:
        """All objects of the kind in the namespace of `ref` that match a label selector and a field selector; none when
        there is no such kind.

        The items of a list carry neither apiVersion nor kind; they are filled in. A server that ignores the tokens of
        pages sends the same items again; each is there once.
        """
        try:
            items = list(self._pages(ref, {"labelSelector": selector, "fieldSelector": fields}))
        except ApiError as exc:
            if exc.status_code == 404:
                return []
            raise
        return list({(item["metadata"].get("namespace"), item["metadata"]["name"]): item for item in items}.values())

    def _pages(self, ref: ObjectRef, selectors: Mapping[str, str]) -> Iterator[Manifest]:
        query = {"limit": str(PAGE_SIZE), **{name: value for name, value in selectors.items() if value}}
        used = {WHOLE_LIST}
        for _unused in range(MAX_PAGES):
            answer = self._transport.request("GET", self._path(ref), subject=ref, query=query)
            for item in answer.get("items") or ():
                yield {"apiVersion": ref.api_version, "kind": ref.kind, **item}
            following = (answer.get("metadata") or {}).get("continue")
            if not following or following in used:
                return
            used.add(following)
            query = {**query, "continue": following}
        raise ApiError(500, "TooManyPages", f"the list has more than {MAX_PAGES} pages", subject=str(ref))

    def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply as our field manager, taking over fields that others own."""
        ref = ObjectRef.of(manifest)
        query = {"fieldManager": self._field_manager, "force": "true", **self._dry_run}
        return self._transport.request(
            "PATCH", self._path(ref), subject=ref, query=query, body=manifest, content_type=APPLY_PATCH
        )

    def create(self, manifest: Manifest) -> Manifest:
        """Make an object that must not be there yet; an ApiError with 409 where one has other content.

        No POST: the Operator SDK's proxy gives the custom resource as owner to all that is made by one, and what
        outlives the custom resource would go with it. Instead an apply that forces nothing, by a field manager that is
        used once: it owns nothing of what is there, so each value that it would change is a conflict, and the API
        server settles races between two of them. Content that is equal is no conflict, so it may be sent twice. Into an
        object that was made meanwhile and has none of the same fields, ours are merged; nothing of it is overwritten.
        """
        ref = ObjectRef.of(manifest)
        manager = f"{self._field_manager}-{secrets.token_hex(4)}"
        query = {"fieldManager": manager, "force": "false", **self._dry_run}
        return self._transport.request(
            "PATCH", self._path(ref), subject=ref, query=query, body=manifest, content_type=APPLY_PATCH
        )

    def post(self, manifest: Manifest) -> Manifest:
        """POST, for what may get any name and any owner; an object of that name that is there is an ApiError with 409."""
        ref = ObjectRef.of(manifest)
        query = {"fieldManager": self._field_manager, **self._dry_run}
        return self._transport.request(
            "POST", self._path(ref._replace(name="")), subject=ref, query=query, body=manifest
        )

    def merge(self, ref: ObjectRef, patch: Mapping[str, Any], *, subresource: str = "") -> Manifest:
        """JSON merge patch: null removes a key, lists are replaced whole."""
        query = {"fieldManager": self._field_manager, **self._dry_run}
        path = self._path(ref, subresource=subresource)
        return self._transport.request("PATCH", path, subject=ref, query=query, body=patch, content_type=MERGE_PATCH)

    def delete(self, ref: ObjectRef, *, uid: str | None = None) -> bool:
        """Delete the object (only the one with that uid, if given); what it owns goes in the background.

        False when it was not there. An object of the same name with another uid is an ApiError with 409.
        """
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if self._dry_run:
            options["dryRun"] = ["All"]
        try:
            self._transport.request("DELETE", self._path(ref), subject=ref, body=options)
        except ApiError as exc:
            if exc.status_code == 404:
                return False
            raise
        return True

    def _path(self, ref: ObjectRef, *, subresource: str = "") -> str:
        resource = self._known.get((ref.api_version, ref.kind)) or self._discover(ref)
        if resource.namespaced and ref.name and not ref.namespace:
            raise ApiError(400, "BadRequest", "the object needs metadata.namespace", subject=str(ref))
        return path_of(ref, resource, subresource=subresource)

    def _discover(self, ref: ObjectRef) -> Resource:
        """Ask the API server how it names a kind that is not in the table; one request per group version."""
        with self._discovery:
            known = self._discovered.get(ref.api_version)
        if known is None:
            group_version = path_of(ObjectRef(ref.api_version, ""), Resource("", namespaced=False)).rstrip("/")
            answer = self._transport.request("GET", group_version, subject=f"the kinds of {ref.api_version}")
            known = {
                entry["kind"]: Resource(entry["name"], namespaced=bool(entry["namespaced"]))
                for entry in answer.get("resources") or ()
                if "/" not in entry["name"]
            }
            with self._discovery:
                self._discovered[ref.api_version] = known
        if ref.kind not in known:
            message = f"{ref.api_version} has no kind {ref.kind}"
            raise ApiError(404, "NotFound", message, subject=str(ref))
        return known[ref.kind]
