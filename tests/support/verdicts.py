# SPDX-License-Identifier: Apache-2.0
"""The cases of tests/cases: what people wrote, and beside each what the project has to make of it.

`NN-name.yaml` (or a folder with a kustomization.yaml) is the input. `NN-name.verdict.yaml` is a mapping of:

    shows        a sentence: what the case is about
    refused      texts that are part of what is said against the custom resource; then nothing else is looked at
    conditions   {type: {"status", "reason", "message"}}; `message` is a text, or a list of texts, that are part of it
    status       other fields of the status
    objects      {"Kind/name": what the object that is applied has to hold}, see `differences`
    pods         pods that the pass finds
    shown_by     "tests/...py::test_name": the test that shows it, where a plan alone can't
    not_yet      why it does not hold so far; the test is then expected to fail, and to be told of when it does not
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import documents

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "cases"
SUFFIX = ".verdict.yaml"
KEYS = frozenset({"shows", "refused", "conditions", "status", "objects", "pods", "shown_by", "not_yet"})


class Case(NamedTuple):
    name: str
    manifests: list[dict[str, Any]]
    """The documents of the input; none for a folder."""
    verdict: dict[str, Any]

    @property
    def immich(self) -> dict[str, Any]:
        [found] = [manifest for manifest in self.manifests if manifest["kind"] == "Immich"]
        return found

    @property
    def others(self) -> list[dict[str, Any]]:
        """What is in the namespace besides, as the API server returns it."""
        return [_stored(manifest) for manifest in self.manifests if manifest["kind"] not in {"Immich", "Namespace"}]


def cases() -> list[Case]:
    return [case_of(path.name.removesuffix(SUFFIX)) for path in sorted(CASES.glob(f"*{SUFFIX}"))]


def case_of(name: str) -> Case:
    [verdict] = documents((CASES / f"{name}{SUFFIX}").read_text(encoding="utf-8"))
    assert verdict.keys() <= KEYS, f"{name}: {sorted(verdict.keys() - KEYS)} are none of {sorted(KEYS)}"
    path = CASES / f"{name}.yaml"
    return Case(name, documents(path.read_text(encoding="utf-8")) if path.exists() else [], verdict)


def differences(expected: Any, found: Any, path: str = "") -> Iterator[str]:
    """In words what of `expected` is not in `found`.

    A mapping may have more keys, and null stands for an absent one. A list may have more items, before, between and
    after those that are expected in this order.
    """
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for key, value in expected.items():
            if value is None and found.get(key) is not None:
                yield f"{path}.{key} is there: {found[key]!r}"
            elif value is not None and key not in found:
                yield f"{path}.{key} is missing"
            elif value is not None:
                yield from differences(value, found[key], f"{path}.{key}")
    elif isinstance(expected, list) and isinstance(found, list):
        rest = iter(found)
        for item in expected:
            if not any(not list(differences(item, other)) for other in rest):
                yield f"{path} has no {item!r} there: {found!r}"
    elif expected != found:
        yield f"{path} is {found!r}, not {expected!r}"


def untold(expected: Mapping[str, Any], conditions: list[Mapping[str, Any]]) -> Iterator[str]:
    """In words what the conditions do not say of what `conditions` of a verdict wants."""
    said = {condition["type"]: condition for condition in conditions}
    for kind, wanted in expected.items():
        if kind not in said:
            yield f"there is no condition {kind} yet"
            continue
        message = wanted.get("message", [])
        parts = [message] if isinstance(message, str) else message
        rest = {key: value for key, value in wanted.items() if key != "message"}
        yield from differences(rest, said[kind], kind)
        for part in parts:
            if part not in said[kind]["message"]:
                yield f"{kind} does not say {part!r}: {said[kind]['message']!r}"


def _stored(manifest: dict[str, Any]) -> dict[str, Any]:
    """A Secret's `stringData` is encoded into `data`."""
    if "stringData" not in manifest:
        return manifest
    data = {key: base64.b64encode(value.encode()).decode() for key, value in manifest["stringData"].items()}
    return {**{key: value for key, value in manifest.items() if key != "stringData"}, "data": data}
