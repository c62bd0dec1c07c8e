# SPDX-License-Identifier: Apache-2.0
"""What is done with objects, as requests: get, list, watch, server-side apply, create, replace, merge, delete."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from .api_error import ApiError, Malformed, NotFound, ObjectRef, TooLarge
from .discovery import Discovery
from .resource_paths import BUILT_IN, Resource, path_of
from .values import FIELD_MANAGER, Manifest
from .watch_stream import WatchStream

if TYPE_CHECKING:
    from .transport import Transport

__all__ = ["ApiObjects", "Page"]

APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
PAGE_SIZE = 500
PAGE_BYTES = 4 * 1024 * 1024
"""Of an answer. What Python makes of it takes up to twenty times as much memory; 500 ordinary objects have half a mebibyte."""
MOST_WHOLE_PAGES = 4
"""Of a list that is wanted whole, so that neither many nor large objects of others fill the memory."""
MAX_PAGES = 1000
MAX_ITEMS = 200_000
MAX_EMPTY_PAGES = 10
"""One after another: pages that bring nothing new."""
WHOLE_LIST = "continue-not-supported"
"""Token of a list from controller-runtime's cache, from which the Operator SDK's proxy answers: it is complete."""
DRY_RUN: Mapping[str, str] = MappingProxyType({"dryRun": "All"})
NO_DRY_RUN: Mapping[str, str] = MappingProxyType({})
WATCH_SLACK_S = 30.0
"""How long after its own timeout the server may take to end a watch."""
METADATA_ONLY = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1,application/json"


def _whole(obj: Manifest) -> Manifest:
    return obj


class Page(NamedTuple):
    """The objects of a page, each with apiVersion and kind, and the version to watch from."""

    items: list[Manifest]
    resource_version: str


class ApiObjects:
    """Operations on objects over a transport; all raise TransportError. Safe to use from several threads.

    `dry_run` asks the API server to check and answer as usual, but to store nothing. `known` are kinds that need no
    discovery; of all others, `discovery` keeps what the API server says.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        dry_run: bool = False,
        field_manager: str = FIELD_MANAGER,
        known: Mapping[tuple[str, str], Resource] = BUILT_IN,
    ) -> None:
        self._known = known
        self._transport = transport
        self._field_manager = field_manager
        self._dry_run = DRY_RUN if dry_run else NO_DRY_RUN
        self._limit: dict[str, Any] = {}
        self.discovery = Discovery(transport)

    def within(self, seconds: float) -> ApiObjects:
        """The same operations, each of whose requests is given up after that time without an answer."""
        limited = copy.copy(self)
        limited._limit = {"read_s": seconds}
        return limited

    def api_groups(self) -> dict[str, list[str]]:
        """{"apps": ["v1"], ...}: all groups with their versions, in one request."""
        answer = self._transport.request("GET", "/apis", subject="the list of API groups")
        return {
            group["name"]: [entry["version"] for entry in group["versions"]] for group in answer.get("groups") or ()
        }

    def get(self, ref: ObjectRef) -> Manifest:
        """The object; NotFound if it (or its kind) does not exist."""
        return self._request("GET", ref)

    def find(self, ref: ObjectRef) -> Manifest | None:
        """The object, or None if it (or its kind) does not exist."""
        try:
            return self.get(ref)
        except NotFound:
            return None

    def list(
        self,
        ref: ObjectRef,
        *,
        selector: str = "",
        fields: str = "",
        limit: int = 0,
        keep: Callable[[Manifest], Manifest] = _whole,
    ) -> list[Manifest]:
        """All objects of the kind in the namespace of `ref` that match a label selector and a field selector, or with a
        `limit` the first so many; none when there is no such kind. `keep` gives what is wanted of each, so that never more
        than a page of whole ones is in memory.

        A server that ignores the tokens of pages sends the same items again; each is there once. What has no name is left as
        it is.
        """
        items: dict[object, Any] = {}
        try:
            for number, page in enumerate(self.pages(ref, selector=selector, fields=fields, limit=limit), start=1):
                if keep is _whole and number > MOST_WHOLE_PAGES:
                    labels = f" with the labels {selector}" if selector else ""
                    what = f"there are more or larger objects{labels} than can be looked at; remove those that nobody needs"
                    raise ApiError(413, "TooManyObjects", what, subject=str(ref))
                named = ((_identity(item), item) for item in page.items)
                items.update((identity, keep(item)) if identity else (object(), item) for identity, item in named)
                if limit and (len(items) >= limit or number == MOST_WHOLE_PAGES):
                    break
        except NotFound:
            return []
        return list(items.values())[: limit or None]

    def pages(
        self, ref: ObjectRef, *, selector: str = "", fields: str = "", metadata_only: bool = False, limit: int = 0
    ) -> Iterator[Page]:
        """As `list`, page by page, so that no more has to be in memory, with the version to watch from; NotFound when there is
        no such kind. With a `limit` no page is larger than that. The items of a list carry neither apiVersion nor kind; they
        are filled in.

        A page of more than PAGE_BYTES is asked for again with fewer objects, and the next ones grow again: how large objects
        are is up to those who may write them.
        """
        most = size = min(limit or PAGE_SIZE, PAGE_SIZE)
        query = _query(limit=str(size), labelSelector=selector, fieldSelector=fields)
        accept = {"accept": METADATA_ONLY.format("List")} if metadata_only else {}
        used = {WHOLE_LIST}
        seen: set[int] = set()
        asked_for = items_count = empty = 0
        while asked_for < MAX_PAGES * most and items_count <= MAX_ITEMS and empty < MAX_EMPTY_PAGES:
            try:
                bound: dict[str, Any] = {"most_bytes": PAGE_BYTES} if size > 1 else {}  # one object is as long as it is
                answer = self._request("GET", ref, query=query, **bound, **accept)
            except TooLarge:
                if size == 1:
                    raise
                size = max(1, size // 4)
                query = {**query, "limit": str(size)}
                continue
            found, metadata = answer.get("items"), answer.get("metadata")
            if not isinstance(metadata, dict) or not isinstance(found, list | None):
                raise Malformed(f"{ref}: the answer is not a list")
            identities = [_identity(item) for item in found or ()]
            yield Page(
                [
                    {"apiVersion": ref.api_version, "kind": ref.kind, **item} if identity else item
                    for identity, item in zip(identities, found or (), strict=True)
                ],
                str(metadata.get("resourceVersion", "")),
            )
            following = metadata.get("continue")
            if not following or following in used:
                return
            known = len(seen)
            seen.update(map(hash, identities))
            empty = 0 if len(seen) > known else empty + 1
            items_count += len(identities)
            asked_for += size
            used.add(following)
            size = min(most, 2 * size)
            query = {**query, "limit": str(size), "continue": following}
        message = (
            f"the list does not end: more than {MAX_PAGES} pages, {MAX_ITEMS:,} items or {MAX_EMPTY_PAGES} empty pages"
        )
        raise ApiError(500, "TooManyPages", message, subject=str(ref))

    def watch(
        self,
        ref: ObjectRef,
        *,
        resource_version: str,
        timeout_s: int,
        selector: str = "",
        metadata_only: bool = False,
    ) -> WatchStream:
        """Open a watch with bookmarks on the kind in the namespace of `ref`; the API server ends it after `timeout_s`."""
        query = _query(
            watch="true",
            allowWatchBookmarks="true",
            resourceVersion=resource_version,
            timeoutSeconds=str(timeout_s),
            labelSelector=selector,
        )
        accept = {"accept": METADATA_ONLY.format("")} if metadata_only else {}
        response = self._transport.stream(
            self._path(ref), subject=ref, query=query, read_s=timeout_s + WATCH_SLACK_S, **accept
        )
        return WatchStream(response, ref)

    def apply(self, manifest: Manifest, *, force: bool = True) -> Manifest:
        """Server-side apply as our field manager. `force` takes over fields that others own; without it, each that they
        have set to another value is a Conflict."""
        return self._apply(manifest, self._dry_run, force=force)

    def would_apply(self, manifest: Manifest) -> Manifest:
        """What `apply` would answer; nothing is stored."""
        return self._apply(manifest, DRY_RUN)

    def create(self, manifest: Manifest) -> Manifest:
        """Create an object that must not exist yet; an ApiError with 409 if there is one with other content.

        No POST: the Operator SDK's proxy adds the custom resource as owner to everything created with one, and what
        outlives the custom resource would be removed with it. Instead an apply that forces nothing, by a field manager that is
        used once: it owns nothing of what is there, so each value that it would change is a conflict, and the API
        server settles races between two of them. Content that is equal is no conflict, so it may be sent twice. Into an
        object that was made meanwhile and has none of the same fields, ours are merged; nothing of it is overwritten.
        """
        ref = ObjectRef.of(manifest)
        manager = f"{self._field_manager}-{secrets.token_hex(4)}"
        query = {"fieldManager": manager, "force": "false", **self._dry_run}
        return self._request("PATCH", ref, query=query, body=manifest, content_type=APPLY_PATCH)

    def post(self, manifest: Manifest) -> Manifest:
        """POST, for what may get any name and any owner; an existing object of that name is an ApiError with 409."""
        ref = ObjectRef.of(manifest)
        query = {"fieldManager": self._field_manager, **self._dry_run}
        path = self._path(ref._replace(name=""))
        return self._transport.request("POST", path, subject=ref, query=query, body=manifest, **self._limit)

    def replace(self, manifest: Manifest) -> Manifest:
        """PUT the whole object; Conflict when it has another `metadata.resourceVersion` by now."""
        query = {"fieldManager": self._field_manager, **self._dry_run}
        return self._request("PUT", ObjectRef.of(manifest), query=query, body=manifest)

    def merge(self, ref: ObjectRef, patch: Mapping[str, Any], *, subresource: str = "") -> Manifest:
        """JSON merge patch: null removes a key, lists are replaced whole."""
        query = {"fieldManager": self._field_manager, **self._dry_run}
        return self._request("PATCH", ref, subresource=subresource, query=query, body=patch, content_type=MERGE_PATCH)

    def delete(self, ref: ObjectRef, *, uid: str | None = None) -> bool:
        """Delete the object (only the one with that uid, if given); what it owns is removed in the background.

        False if it did not exist. An object of the same name with another uid is an ApiError with 409.
        """
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if self._dry_run:
            options["dryRun"] = ["All"]
        try:
            self._request("DELETE", ref, body=options)
        except NotFound:
            return False
        return True

    def _apply(self, manifest: Manifest, dry_run: Mapping[str, str], *, force: bool = True) -> Manifest:
        query = {"fieldManager": self._field_manager, "force": str(force).lower(), **dry_run}
        return self._request("PATCH", ObjectRef.of(manifest), query=query, body=manifest, content_type=APPLY_PATCH)

    def _request(self, method: str, ref: ObjectRef, *, subresource: str = "", **options: Any) -> dict[str, Any]:
        path = self._path(ref, subresource=subresource)
        return self._transport.request(method, path, subject=ref, **options, **self._limit)

    def _path(self, ref: ObjectRef, *, subresource: str = "") -> str:
        resource = self._known.get((ref.api_version, ref.kind)) or self.discovery.find(ref.api_version, ref.kind)
        if resource is None:
            raise NotFound(404, "NotFound", f"{ref.api_version} has no kind {ref.kind}", subject=str(ref))
        if resource.namespaced and ref.name and not ref.namespace:
            raise ApiError(400, "BadRequest", "the object needs metadata.namespace", subject=str(ref))
        return path_of(ref, resource, subresource=subresource)


def _query(**parameters: str) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if value}


def _identity(item: Any) -> tuple[str, str] | None:
    """Namespace and name; None for anything that has no usable metadata."""
    metadata = item.get("metadata") if isinstance(item, Mapping) else None
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return (str(metadata.get("namespace") or ""), name) if isinstance(name, str) and metadata is not None else None
