# SPDX-License-Identifier: Apache-2.0
"""metav1.LabelSelector: does an object's set of labels match?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from immich_operator.kube.resources import mapping

_OPERATORS: Final = {"In": True, "NotIn": True, "Exists": False, "DoesNotExist": False}  # value: needs `values`


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, Any]) -> bool:
        present, value = self.key in labels, labels.get(self.key)
        if self.operator == "Exists":
            return present
        if self.operator == "DoesNotExist":
            return not present
        # an object without the label satisfies NotIn, as in the API server
        return (present and value in self.values) == (self.operator == "In")


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must hold; no requirements match everything."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Selector:
        """Raises: ValueError naming what is wrong."""
        if unknown := set(manifest) - {"matchLabels", "matchExpressions"}:
            raise ValueError(
                f"a selector has matchLabels and matchExpressions, not {', '.join(sorted(map(str, unknown)))}"
            )
        labels, expressions = manifest.get("matchLabels") or {}, manifest.get("matchExpressions") or []
        if not isinstance(labels, Mapping):  # taken for none, it would let everything match
            raise ValueError("matchLabels must be a mapping of labels to their values")  # noqa: TRY004 - of a file
        if not isinstance(expressions, list):
            raise ValueError("matchExpressions must be a list")  # noqa: TRY004 - of a file
        found = []
        for key, value in labels.items():
            if not isinstance(value, str):
                raise ValueError(f"the value of label {key} must be a string; put it in quotes")  # noqa: TRY004 - of a file
            found.append(Requirement(str(key), "In", frozenset({value})))
        for expression in expressions:
            key, operator = str(mapping(expression).get("key") or ""), str(mapping(expression).get("operator") or "")
            given = mapping(expression).get("values") or []
            values = frozenset(map(str, given)) if isinstance(given, list) else frozenset()
            if not key or operator not in _OPERATORS or _OPERATORS[operator] != bool(values):
                raise ValueError(
                    f"a matchExpression needs a key, an operator of {', '.join(_OPERATORS)}, "
                    "and values for In and NotIn only"
                )
            found.append(Requirement(key, operator, values))
        return cls(tuple(found))

    def matches(self, labels: Mapping[str, Any]) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)
