# SPDX-License-Identifier: Apache-2.0
"""The one custom resource that a text, or the variables of a play, describe: found, checked, and with its defaults."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import yaml

from ..kube.bounded_yaml import TooLarge
from ..kube.problems import Problem
from ..kube.values import dig, visible
from . import crd

__all__ = ["Described", "Unusable", "completed", "from_text", "from_variables", "with_namespace"]

DEFAULT_NAMESPACE = "default"
OF_THE_SERVER = frozenset(
    {
        "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields",
        "resourceVersion", "selfLink", "uid",
    }
)  # fmt: skip
"""Metadata of a resource as it was once stored somewhere, which a saved copy still has. It means nothing here."""


class Unusable(ValueError):  # noqa: N818 # reads as what is the case
    """There is no custom resource, or one that cannot work. One line per problem; holds no secret value.

    Ansible shows it in a terminal, and the file may be somebody else's: but for line breaks the text is `visible`.
    """

    def __init__(self, text: str) -> None:
        super().__init__(visible(text, keep="\n"))

    @classmethod
    def because_of(cls, problems: Iterable[Problem], title: str) -> Unusable:
        lines = [visible(str(problem)) for problem in problems]
        if len(lines) == 1:
            return cls(f"{title}: {lines[0]}")
        return cls("\n".join([f"{title} cannot work as it is:", *(f"  {line}" for line in lines)]))


class Described(NamedTuple):
    """What the variables of a play say about an instance: exactly one of file, resource and name."""

    file: str | None = None
    text: str | None = None
    """What the file holds."""
    cr: Mapping[str, Any] | None = None
    name: str | None = None
    spec: Mapping[str, Any] | None = None
    namespace: str | None = None
    """For a resource that names none."""


def from_text(text: str, kinds: Collection[str] = tuple(crd.KINDS)) -> dict[str, Any]:
    """The only document of a YAML text; Unusable if it is not the only one, not YAML, or of none of `kinds`."""
    wanted = "one " + " or ".join(f"{kind} ({crd.KINDS[kind].api_version})" for kind in kinds)
    try:
        documents = [document for document in crd.documents(text) if document is not None]
    except TooLarge as exc:
        raise Unusable(str(exc)) from None
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(exc, "problem", None) or "it cannot be read"
        if isinstance(exc, yaml.constructor.ConstructorError):  # whose text quotes the tag, which may be a password
            problem = "a value begins with !; put it in quotes"
        what = f"this is not YAML: {problem}{where}"
        raise Unusable(what) from None  # newer ansible-core would repeat the cause, with parts of the text in it
    if not documents:
        raise Unusable(f"the text is empty. It needs {wanted}")
    others = [title(document) for document in documents if not _is_one_of(kinds, document)]
    if others:
        raise Unusable(f"the text holds {', '.join(others)}. Keep only {wanted} in it and apply the rest with kubectl")
    if len(documents) > 1:
        names = ", ".join(title(document) for document in documents)
        raise Unusable(f"the text holds {len(documents)} custom resources: {names}. Put each into its own file")
    only: dict[str, Any] = documents[0]
    return only


def from_variables(described: Described) -> dict[str, Any]:
    """The Immich with a name and a namespace, otherwise as it was given; Unusable if it is not clear which one."""
    given = [name for name in ("file", "cr", "name") if getattr(described, name)]
    if not given:
        raise Unusable("say which instance: set immich_name, immich_file or immich_cr")
    if len(given) > 1:
        raise Unusable(f"set only one of {' and '.join(f'immich_{name}' for name in given)}")
    if described.spec and not described.name:
        raise Unusable(f"immich_spec goes with immich_name; with immich_{given[0]} the spec is in the resource")
    if described.name:
        cr = {"apiVersion": crd.API_VERSION, "kind": crd.KIND, "metadata": {"name": described.name}}
        cr |= {"spec": dict(described.spec)} if described.spec else {}
    elif described.file:
        try:
            cr = from_text(described.text or "", (crd.KIND,))
        except Unusable as exc:
            raise Unusable(f"{described.file}: {exc}") from None
    else:
        cr = dict(described.cr or {})
    named = dig(cr, "metadata", "namespace")
    if named and described.namespace and named != described.namespace:
        raise Unusable(
            f"{title(cr)} is in namespace {named}, and immich_namespace says {described.namespace}; change one of them"
        )
    cr = with_namespace(cr, described.namespace or DEFAULT_NAMESPACE)
    metadata = cr.get("metadata")
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise Unusable.because_of([Problem("metadata.name", "an Immich needs a name", "Set it")], title(cr))
    if not isinstance(metadata["namespace"], str):
        raise Unusable.because_of([Problem("metadata.namespace", "must be text", "Put it in quotes")], title(cr))
    return {**cr, "metadata": {key: value for key, value in metadata.items() if key not in OF_THE_SERVER}}


def with_namespace(cr: dict[str, Any], namespace: str | None) -> dict[str, Any]:
    """The resource, in that namespace if it names none itself."""
    if not namespace or not isinstance(cr.get("metadata"), Mapping) or cr["metadata"].get("namespace"):
        return cr
    return {**cr, "metadata": {**cr["metadata"], "namespace": namespace}}


def completed(cr: Mapping[str, Any], kind: str = "") -> dict[str, Any]:
    """The resource with the defaults of its schema; Unusable with everything that keeps it from working.

    `kind` is the only one accepted, "" for any of ours.
    """
    full, problems = crd.complete(cr, kind)
    if problems:
        raise Unusable.because_of(problems, title(cr))
    return full


def title(document: Any) -> str:
    """How a message names an object: its kind and, if it has one, its name."""
    if not isinstance(document, Mapping) or not document.get("kind"):
        return "a document without kind"
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return f"{document['kind']} {name}" if name else f"{document['kind']} without name"


def _is_one_of(kinds: Collection[str], document: Any) -> bool:
    return isinstance(document, Mapping) and document.get("kind") in kinds
