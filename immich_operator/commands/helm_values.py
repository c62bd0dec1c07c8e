# SPDX-License-Identifier: Apache-2.0
"""From the values of Immich's Helm chart to the spec of an Immich.

The chart (immich-app/immich-charts) is made on bjw-s' common library, so that a component has `controllers`, `persistence`,
`ingress` and `service` of their shape; in versions before 0.10 `image`, `env` and `resources` stood beside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Converted", "convert"]

Path = tuple[str, ...]

POD_OPTIONS = {
    "nodeSelector": "nodeSelector",
    "tolerations": "tolerations",
    "affinity": "affinity",
    "annotations": "podAnnotations",
    "labels": "podLabels",
    "securityContext": "podSecurityContext",
}
"""{key of the chart's pods: key of a component}"""
SERVER_IMAGE, LEARNING_IMAGE = "ghcr.io/immich-app/immich-server", "ghcr.io/immich-app/immich-machine-learning"
VALKEY_IMAGE = "docker.io/valkey/valkey"
OF_DATABASE = {"DB_HOSTNAME": "host", "DB_PORT": "port", "DB_DATABASE_NAME": "database", "DB_USERNAME": "username"}
OF_QUEUES = {"REDIS_HOSTNAME": "host", "REDIS_PORT": "port", "REDIS_DBINDEX": "dbIndex", "REDIS_USERNAME": "username"}
NUMBERS = {"port", "dbIndex"}
CACHE = {"TRANSFORMERS_CACHE", "HF_HOME", "HF_XET_CACHE", "MPLCONFIGDIR"}
"""Variables of machine learning that the operator sets itself."""
IMMICHS_OWN = re.compile(r"/(data|usr/src/app/upload)(/.*)?")

_RELEASE = re.compile(r"\{\{-?\s*\.Release\.Name\s*-?\}\}")
_PRINTF = re.compile(r"""\{\{-?\s*printf\s+"([^"]*%s[^"]*)"\s+\.Release\.Name\s*-?\}\}""")
_TEMPLATE = re.compile(r"\{\{.*?\}\}", re.S)


@dataclass
class Converted:
    """`spec` of an Immich, the values that have no place in it, and what a person has to do besides."""

    spec: dict[str, Any] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    """Paths of values, such as `server.probes.main`."""
    remarks: list[str] = field(default_factory=list)

    def set(self, *path: str, to: Any) -> None:
        """Nothing for None and empty objects: then the default holds."""
        if to is None or to in ({}, [], ""):
            return
        place = self.spec
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = to


class _Values:
    """A chart's values, which remember what has been taken of them."""

    def __init__(self, values: Mapping[str, Any], release: str) -> None:
        self._values = values
        self._release = release
        self._taken: set[Path] = set()

    def take(self, *path: str) -> Any:
        """The value there, without templates that only name the release; None if there is none."""
        self._taken.add(path)
        return self._filled(self.look(*path))

    def look(self, *path: str) -> Any:
        """Like `take`, for what is only asked."""
        place: Any = self._values
        for key in path:
            place = place.get(key) if isinstance(place, Mapping) else None
        return place

    def keys(self, *path: str) -> list[str]:
        place = self.look(*path)
        return [str(key) for key in place] if isinstance(place, Mapping) else []

    def left(self) -> Iterator[str]:
        yield from self._left((), self._values)

    def _left(self, path: Path, value: Any) -> Iterator[str]:
        if path in self._taken or value is None:
            return
        if isinstance(value, Mapping):
            for key, item in value.items():
                yield from self._left((*path, str(key)), item)
        elif value not in ([], "", False):
            yield ".".join(path)

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            named = _PRINTF.sub(lambda found: found[1].replace("%s", self._release), value)
            return _RELEASE.sub(self._release, named)
        if isinstance(value, Mapping):
            return {key: self._filled(item) for key, item in value.items()}
        return [self._filled(item) for item in value] if isinstance(value, list) else value


def convert(values: Mapping[str, Any], release: str) -> Converted:
    """`release` is the name of the Helm release, which values may mention in templates."""
    given, made = _Values(values, release), Converted()
    shared = _variables(given, made, ("env",)) | _variables(given, made, (*_main(()), "env"))
    tag = given.take(*_main(()), "image", "tag") or given.take("image", "tag")
    _immich(given, made)
    server = shared | _component(given, made, "server", "server", f"{SERVER_IMAGE}:{tag}" if tag else "")
    learning = _component(given, made, "machine-learning", "machineLearning", f"{LEARNING_IMAGE}:{tag}" if tag else "")
    _cache(given, made)
    _libraries(given, made)
    _ingress(given, made)
    _service(given, made)
    _valkey(given, made, server)
    _database(given, made, server)
    _learning_elsewhere(made, server)
    made.set("server", "env", to=list(server.values()))
    made.set("machineLearning", "env", to=[entry for name, entry in learning.items() if name not in CACHE])
    made.left.extend(given.left())
    made.remarks.extend(
        f"spec.{'.'.join(path)} is a template: write its value"
        for path, text in _texts((), made.spec)
        if _is_template(path, text)
    )
    return made


def _main(component: Path) -> Path:
    return (*component, "controllers", "main", "containers", "main")


def _immich(given: _Values, made: Converted) -> None:
    made.set("immich", "metrics", "enabled", to=given.take("immich", "metrics", "enabled") or None)
    claim = given.take("immich", "persistence", "library", "existingClaim")
    made.set("immich", "persistence", "library", "existingClaim", to=claim)
    if not claim:
        made.remarks.append("the chart's library has no claim: the Immich gets a new, empty volume for it")
    made.set("immich", "configuration", to=given.take("immich", "configuration"))
    made.set("immich", "configurationKind", to=given.take("immich", "configurationKind"))
    secrets = given.take("defaultPodOptions", "imagePullSecrets")
    made.set("imagePullSecrets", to=secrets)


def _component(given: _Values, made: Converted, key: str, ours: str, image: str) -> dict[str, dict[str, Any]]:
    """What all components have. Returns the variables, {name: entry}."""
    if given.take(key, "enabled") is False:
        made.set(ours, "enabled", to=False)
    for place in (_main((key,)), (key,)):
        repository, tag = given.take(*place, "image", "repository"), given.take(*place, "image", "tag")
        if repository or tag:
            old_name, _, old_tag = image.rpartition(":")
            tag = tag or old_tag
            name = repository or old_name or (SERVER_IMAGE if key == "server" else LEARNING_IMAGE)
            image = f"{name}:{tag}" if tag else image
        made.set(ours, "imagePullPolicy", to=given.take(*place, "image", "pullPolicy"))
        made.set(ours, "resources", to=given.take(*place, "resources"))
        made.set(ours, "securityContext", to=given.take(*place, "securityContext"))
    made.set(ours, "image", to=image)
    for place in ((key, "controllers", "main"), (key,)):
        made.set(ours, "replicas", to=given.take(*place, "replicas"))
    for place in (("defaultPodOptions",), (key, "defaultPodOptions"), (key, "controllers", "main", "pod"), (key,)):
        for theirs, name in POD_OPTIONS.items():
            if place != (key,) or theirs not in ("annotations", "labels", "securityContext"):
                made.set(ours, name, to=given.take(*place, theirs))
    return _variables(given, made, (key, "env")) | _variables(given, made, (*_main((key,)), "env"))


def _variables(given: _Values, made: Converted, path: Path) -> dict[str, dict[str, Any]]:
    """{name: entry as of Kubernetes} of variables that stand as a mapping or as a list."""
    value = given.take(*path)
    if isinstance(value, Mapping):
        entries = [
            {"name": str(name), **(item if isinstance(item, Mapping) else {"value": item})}
            for name, item in value.items()
            if item is not None
        ]
    else:
        entries = [dict(item) for item in _mappings(value) if isinstance(item.get("name"), str)]
    for entry in entries:
        if entry.get("value") is not None:
            entry["value"] = _as_text(entry["value"])
        if "dependsOn" in entry:
            made.remarks.append(
                f"{'.'.join(path)}.{entry['name']}: dependsOn is not needed, variables keep their order"
            )
            entry.pop("dependsOn")
    return {entry["name"]: entry for entry in entries}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cache(given: _Values, made: Converted) -> None:
    place = ("machine-learning", "persistence", "cache")
    kind, is_on = given.take(*place, "type"), given.take(*place, "enabled")
    size, storage_class = given.take(*place, "size"), given.take(*place, "storageClass")
    mode, claim = given.take(*place, "accessMode"), given.take(*place, "existingClaim")
    if is_on is False or kind == "emptyDir":
        made.set("machineLearning", "persistence", "enabled", to=False)
        return
    made.set("machineLearning", "persistence", "existingClaim", to=claim)
    if not claim:
        made.set("machineLearning", "persistence", "size", to=size)
        made.set("machineLearning", "persistence", "storageClass", to=storage_class)
        made.set("machineLearning", "persistence", "accessModes", to=[mode] if mode else None)


def _libraries(given: _Values, made: Converted) -> None:
    """Volumes of the server beside the library: what Immich calls external libraries."""
    found = []
    for name in given.keys("server", "persistence"):
        place = ("server", "persistence", name)
        if given.look(*place, "enabled") is False:
            given.take(*place)
            continue
        source = _source(given, place)
        mounts = _mappings(given.look(*place, "globalMounts")) or [
            {"path": given.look(*place, "mountPath") or f"/{name}"}
        ]
        if not source or len(mounts) != 1 or IMMICHS_OWN.fullmatch(str(mounts[0].get("path") or "/data")):
            continue
        for key in ("enabled", "type", "existingClaim", "server", "path", "hostPath", "globalMounts", "mountPath"):
            given.take(*place, key)
        entry = {"name": _dns_name(name), "mountPath": str(mounts[0]["path"]).rstrip("/"), **source}
        if mounts[0].get("readOnly") is not True:
            entry["readOnly"] = False
        found.append(entry)
    made.set("immich", "externalLibraries", to=found)


def _source(given: _Values, place: Path) -> dict[str, Any]:
    kind = given.look(*place, "type")
    if kind == "nfs":
        return {"nfs": {"server": given.look(*place, "server"), "path": given.look(*place, "path")}}
    if kind == "hostPath":
        return {"hostPath": {"path": given.look(*place, "hostPath")}}
    claim = given.look(*place, "existingClaim")
    return {"existingClaim": claim} if claim else {}


def _dns_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")


def _ingress(given: _Values, made: Converted) -> None:
    place = ("server", "ingress", "main")
    if not given.take(*place, "enabled"):
        for key in given.keys(*place):
            given.take(*place, key)
        return
    made.set("server", "ingress", "enabled", to=True)
    made.set("server", "ingress", "annotations", to=given.take(*place, "annotations"))
    name = given.take(*place, "className") or given.take(*place, "ingressClassName")
    made.set("server", "ingress", "ingressClassName", to=name)
    hosts = [
        {
            "host": host.get("host"),
            "paths": [
                {key: path[key] for key in ("path", "pathType") if path.get(key)}
                for path in _mappings(host.get("paths")) or [{"path": "/"}]
            ],
        }
        for host in _mappings(given.take(*place, "hosts"))
    ]
    made.set("server", "ingress", "hosts", to=hosts)
    made.set("server", "ingress", "tls", to=given.take(*place, "tls"))


def _service(given: _Values, made: Converted) -> None:
    place = ("server", "service", "main")
    made.set("server", "service", "type", to=given.take(*place, "type"))
    made.set("server", "service", "annotations", to=given.take(*place, "annotations"))
    port = given.take(*place, "ports", "http", "port")
    made.set("server", "service", "port", to=port if port != 2283 else None)


def _valkey(given: _Values, made: Converted, server: dict[str, dict[str, Any]]) -> None:
    runs = [name for name in ("valkey", "redis") if given.take(name, "enabled")]
    if runs:
        for name in (*OF_QUEUES, "REDIS_PASSWORD"):
            server.pop(name, None)
        if runs == ["redis"]:
            made.remarks.append("waiting jobs of the chart's Redis are lost: start them again in Immich with Missing")
            for key in given.keys("redis"):
                given.take("redis", key)
            return
        place = _main(("valkey",))
        repository, tag = given.take(*place, "image", "repository"), given.take(*place, "image", "tag")
        made.set("valkey", "image", to=f"{repository or VALKEY_IMAGE}:{tag}" if tag else None)
        made.set("valkey", "imagePullPolicy", to=given.take(*place, "image", "pullPolicy"))
        made.set("valkey", "resources", to=given.take(*place, "resources"))
        place = ("valkey", "persistence", "data")
        kind, is_on, claim = (given.take(*place, key) for key in ("type", "enabled", "existingClaim"))
        size, storage_class, mode = (given.take(*place, key) for key in ("size", "storageClass", "accessMode"))
        if is_on is not False and (claim or kind == "persistentVolumeClaim"):
            made.set("valkey", "persistence", "enabled", to=True)
            made.set("valkey", "persistence", "existingClaim", to=claim)
            made.set("valkey", "persistence", "size", to=None if claim else size)
            made.set("valkey", "persistence", "storageClass", to=None if claim else storage_class)
            made.set("valkey", "persistence", "accessModes", to=[mode] if mode and not claim else None)
        return
    given.take("redis")
    given.take("valkey")
    if "REDIS_HOSTNAME" in server:
        made.set("valkey", "enabled", to=False)
        _parts(made, "valkey", server, OF_QUEUES)
        _password(made, "valkey", server.pop("REDIS_PASSWORD", None))


def _database(given: _Values, made: Converted, server: dict[str, dict[str, Any]]) -> None:
    if given.look("postgresql", "enabled"):
        given.take("postgresql")
        for name in (*OF_DATABASE, "DB_PASSWORD"):
            server.pop(name, None)
        made.remarks.append(
            "the chart's own PostgreSQL ends with the release: dump its database and restore it into that of the Immich"
        )
        return
    given.take("postgresql")
    if "DB_URL" in server:
        made.set("postgres", "enabled", to=False)
        reference = _secret_key(server.pop("DB_URL"))
        for name in (*OF_DATABASE, "DB_PASSWORD"):  # which it takes the place of
            server.pop(name, None)
        made.set("postgres", "urlSecretRef", to=reference)
        if not reference:
            made.remarks.append(
                "DB_URL stands in the values: put it into a Secret, and name that in spec.postgres.urlSecretRef"
            )
    elif "DB_HOSTNAME" in server:
        made.set("postgres", "enabled", to=False)
        _parts(made, "postgres", server, OF_DATABASE)
        _password(made, "postgres", server.pop("DB_PASSWORD", None))


def _parts(made: Converted, ours: str, server: dict[str, dict[str, Any]], names: Mapping[str, str]) -> None:
    """Move variables to their fields; one that comes from elsewhere stays a variable, which takes precedence."""
    for name, key in names.items():
        value = server.get(name, {}).get("value")
        if value is None:
            continue
        is_number = key in NUMBERS and value.isdecimal()
        made.set(ours, key, to=int(value) if is_number else value)
        server.pop(name)


def _password(made: Converted, ours: str, entry: Mapping[str, Any] | None) -> None:
    if entry is None:
        return
    reference = _secret_key(entry)
    made.set(ours, "passwordSecretRef", to=reference)
    if not reference:
        made.remarks.append(
            f"{entry['name']} stands in the values: put it into a Secret, and name that in spec.{ours}.passwordSecretRef"
        )


def _secret_key(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    source = entry.get("valueFrom")
    reference = source.get("secretKeyRef") if isinstance(source, Mapping) else None
    if not isinstance(reference, Mapping):
        return None
    return {key: reference[key] for key in ("name", "key") if key in reference}


def _learning_elsewhere(made: Converted, server: dict[str, dict[str, Any]]) -> None:
    url = server.pop("IMMICH_MACHINE_LEARNING_URL", {}).get("value")
    server.pop("IMMICH_MACHINE_LEARNING_ENABLED", None)
    if made.spec.get("machineLearning", {}).get("enabled") is False and url and url != "false":
        made.set("machineLearning", "url", to=url)


def _texts(path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    children: Any = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in children:
        yield from _texts((*path, str(key)), item)


def _is_template(path: Path, text: str) -> bool:
    """Immich's own templates have braces, too."""
    return bool(_TEMPLATE.search(text)) and path[:2] != ("immich", "configuration")
