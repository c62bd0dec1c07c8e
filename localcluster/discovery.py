# SPDX-License-Identifier: Apache-2.0
"""Which kinds an API server serves, and under which path."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["ACCEPT", "Resource", "resources"]

# Aggregated discovery (KEP-3352): all kinds of all groups in one answer each for /api and /apis.
ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind, and the path of its objects."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None = None, name: str = "") -> str:
        """Path of one object, or of the collection (of all namespaces if `namespace` is None)."""
        parts = ["/apis" if "/" in self.api_version else "/api", self.api_version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        return "/".join(parts)


def resources(answers: Iterable[dict[str, Any]]) -> dict[str, Resource]:
    """From APIGroupDiscoveryLists to resources by `Kind` and by `group/version/Kind`.

    A short name that several groups or versions share means the first; servers list core first and each group's
    preferred version first.
    """
    found: dict[str, Resource] = {}
    for answer in answers:
        for group in answer["items"]:
            group_name = group["metadata"].get("name", "")
            for version in group["versions"]:
                api_version = f"{group_name}/{version['version']}" if group_name else version["version"]
                for entry in version.get("resources", []):
                    kind = entry["responseKind"]["kind"]
                    resource = Resource(api_version, kind, entry["resource"], entry["scope"] == "Namespaced")
                    found.setdefault(kind, resource)
                    found.setdefault(f"{api_version}/{kind}", resource)
    return found
