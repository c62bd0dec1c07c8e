# SPDX-License-Identifier: Apache-2.0
"""The variables that a user gives a component, from `env` and from what `envFrom` reads, and what happens to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from ..kube.problems import Problem
from ..kube.suggestions import closest
from ..kube.values import Manifest, decoded_text, dig
from ..spec.checks import HOST, IS_THE_POD, ITSELF
from ..spec.fields import ImmichWorkload
from ..spec.names import Component
from ..spec.variables import TABLE, Fixed, Policy, Variable, by_name, fixed_variables
from . import pods
from .expansion import names_in
from .instance import Cluster, Instance, Part
from .reasons import Reason
from .required import LINE_BREAK, odd_ends

SOURCES = (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret"))
HOSTS = {"DB_HOSTNAME": "DB_PORT", "REDIS_HOSTNAME": "REDIS_PORT"}
"""Variables that hold a host, and those for its port."""
OF_THE_FILE = ("IMMICH_MACHINE_LEARNING_ENABLED", "IMMICH_MACHINE_LEARNING_URL")
"""Variables that count only where no configuration file says the same."""
ALL_KEYS = (("configMapRef", "ConfigMap"), ("secretRef", "Secret"))


class Given(NamedTuple):
    """One variable as the container would see it, before the operator's own overrides."""

    value: str | None
    """None if it is not known here: a field of the pod, an object that may not be read. May be a secret."""
    where: str
    """The field, and the object with its key if the value comes from one."""
    from_object: bool = False
    from_pod: bool = False
    in_env: bool = True
    """False for a key that `envFrom` reads: any entry of the operator takes precedence."""


def given(cluster: Cluster, settings: ImmichWorkload, path: str) -> dict[str, Given]:
    """{name: what the user gives}: of several, the one that Kubernetes uses. `path` is where the settings are."""
    found: dict[str, Given] = {}
    for index, entry in enumerate(settings.env_from):
        for key, kind in ALL_KEYS:
            name = dig(entry, key, "name")
            live = cluster.live(kind, name) if name else None
            for held in (live or {}).get("data") or {}:
                where = f"{path}.envFrom[{index}] (key {held} of {kind} {name})"
                text = _text(kind, live, held)
                found[f"{entry.get('prefix') or ''}{held}"] = Given(text, where, from_object=True, in_env=False)
    for index, entry in enumerate(settings.env):
        where = f"{path}.env[{index}]"
        if "valueFrom" not in entry:
            found[entry["name"]] = Given(entry.get("value") or "", where)
            continue
        for key, kind in SOURCES:
            reference = dig(entry, "valueFrom", key)
            if not reference:
                continue
            live = cluster.live(kind, reference.get("name", ""))
            text = _text(kind, live, reference.get("key", ""))
            if text is None and reference.get("optional"):
                break  # then the container does not get it, or keeps what envFrom gives
            where += f" (key {reference.get('key')} of {kind} {reference.get('name')})"
            found[entry["name"]] = Given(text, where, from_object=True)
            break
        else:
            found[entry["name"]] = Given(None, where, from_pod=True)
    return found


def _text(kind: str, live: Mapping[str, Any] | None, key: str) -> str | None:
    value = dig(live, "data", key)
    if kind == "ConfigMap":
        return value if isinstance(value, str) else None
    return decoded_text(value)


def check(
    part: Part,
    instance: Instance,
    component: Component,
    users: Mapping[str, Given],
    ours: Iterable[Mapping[str, Any]],
) -> None:
    """Hold the component back if a variable changes what the operator relies on, and report what has no effect.

    `ours` are the operator's entries for this instance. The CRD's rules cover values in `env` itself; this covers those
    that come from elsewhere.
    """
    own = {entry["name"]: entry.get("value") for entry in ours}
    for name, fixed in fixed_variables(component):
        user = users.get(name)
        if user is None or not fixed.when.holds(instance.spec) or (not user.in_env and name in own):
            continue
        if _is_wrong(user, fixed):
            part.blocks(Reason.SPEC_INVALID, str(Problem(user.where, fixed.what(name), fixed.instead)))
    known = by_name(component)
    referred = {name for user in users.values() for name in names_in(user.value or "")}
    for name, user in users.items():
        instead = _read_by_nobody(component, instance, name, user)
        if instead:
            part.warns(Reason.SETTING_IGNORED, f"{user.where}: {name} has no effect, because {instead}")
        if user.value and name in HOSTS and "$(" not in user.value and not HOST.fullmatch(user.value):
            part.warns(
                Reason.UNKNOWN_SETTING,
                f"{user.where}: {name} is no host: a name or an address, without scheme, user, port, path and blanks. "
                f"Correct it; a port goes into {HOSTS[name]}",
            )
        elif user.value and name in HOSTS and ITSELF.fullmatch(user.value):
            part.warns(Reason.UNKNOWN_SETTING, f"{user.where}: {name} {IS_THE_POD}")
        elif oddity := _oddity(user):
            part.warns(Reason.UNKNOWN_SETTING, f"{user.where} {oddity}")
        elif doubt := _doubt(name, user, known, referred):
            part.warns(Reason.UNKNOWN_SETTING, f"{user.where}: {doubt}")
        if not user.in_env and name in own and (own[name] is None or user.value != own[name]):
            part.warns(Reason.SETTING_IGNORED, _without_effect(name, user, known.get(name)))


def _oddity(user: Given) -> str | None:
    found = odd_ends((user.value or "").encode())
    if found == LINE_BREAK and not user.from_object:
        return "ends in a line break, which is then a part of the value. If it is not meant, write it in one line, without |"
    return found if user.from_object else None


_PREFIXES = ("IMMICH_", "DB_", "REDIS_", "MACHINE_LEARNING_")
"""Of the variables that Immich names."""


def _doubt(name: str, user: Given, known: Mapping[str, Variable], referred: Collection[str]) -> str | None:
    """What is likely wrong with a variable: a value with which the program does not start, or a name that nobody reads."""
    variable = known.get(name)
    if variable:
        is_wrong = user.value and "$(" not in user.value and variable.refuses(user.value)
        return f"{name} has to be {variable.shown_values}, or Immich does not start. Correct it" if is_wrong else None
    if user.in_env and name != name.strip():
        return f"the name {name.strip()} has a blank before or after it, so nobody reads the variable. Remove the blank"
    if not user.in_env or name in referred or not name.startswith(_PREFIXES) or name in _KNOWN_ANYWHERE:
        return None
    meant = closest(name, known)
    return f"{name} is no variable that Immich is known to read. Did you mean {meant}?" if meant else None


_KNOWN_ANYWHERE = frozenset(name for component in TABLE for name in by_name(component))


def _read_by_nobody(component: Component, instance: Instance, name: str, user: Given) -> str | None:
    """Why a variable has no effect and what to use, None where it may have one. Objects may be for several components."""
    variable = by_name(component).get(name)
    if variable and variable.policy is Policy.NO_EFFECT:
        return f"{variable.note}, not Immich; use {variable.field}"
    if component == Component.SERVER and user.in_env and name.startswith("MACHINE_LEARNING_"):
        return "machine learning reads it, not the server; use spec.machineLearning.env"
    if name in OF_THE_FILE and component == Component.SERVER and instance.spec.immich.configuration_kind != "None":
        return f"the configuration file counts more; use {variable.field if variable else 'spec.immich.configuration'}"
    return None


def check_references(part: Part, cluster: Cluster, settings: ImmichWorkload, path: str, deployment: Manifest) -> None:
    """Tell of each `$(NAME)` of the user's that stays as it is written in the container."""
    env = deployment["spec"]["template"]["spec"]["containers"][0].get("env") or []
    last = {entry["name"]: index for index, entry in enumerate(settings.env)}
    there = {entry["name"] for entry in env}
    before, is_known = _names_from_objects(cluster, settings)
    for entry in env:
        name, value = entry["name"], entry.get("value") or ""
        for other in dict.fromkeys(names_in(value) if name in last else ()):
            if other in before or other.startswith("KUBERNETES_") or not (is_known or other in there):
                continue
            why = "which does not come before it" if other in there else "which is no variable of the container"
            put = "Write the value" if other == name else f"Put {other} before {name}"
            part.warns(
                Reason.UNKNOWN_SETTING,
                f"{path}.env[{last[name]}]: {name} refers to $({other}), {why}, so Immich gets these characters as they "
                f"are. {put}, or write $$({other}) if that is what is meant",
            )
        before.add(name)


def _names_from_objects(cluster: Cluster, settings: ImmichWorkload) -> tuple[set[str], bool]:
    """The names that `envFrom` brings, and whether all of its objects could be read."""
    found: set[str] = set()
    is_known = True
    for entry in settings.env_from:
        for key, kind in ALL_KEYS:
            name = dig(entry, key, "name")
            live = cluster.live(kind, name) if name else None
            is_known = is_known and (live is not None or not name)
            found |= {f"{entry.get('prefix') or ''}{held}" for held in (live or {}).get("data") or {}}
    return found, is_known


def pinned(
    instance: Instance, settings: ImmichWorkload, component: Component, users: Mapping[str, Given]
) -> list[dict[str, Any]]:
    """Entries for what the operator relies on, if `envFrom` could bring another value before the next pass sees it."""
    if not settings.env_from:
        return []
    known = {name for name, user in users.items() if user.in_env or user.value is not None}
    return [
        pods.variable(name, fixed.values[0])
        for name, fixed in fixed_variables(component)
        if name not in known and fixed.when.holds(instance.spec) and not fixed.is_address
    ]


def _is_wrong(user: Given, fixed: Fixed) -> bool:
    if user.from_pod:
        return not fixed.is_address
    if user.value is None:
        return False  # not readable here: `check_environment` reports it, or nobody can
    if not user.from_object and not fixed.admits(user.value):
        return False  # already refused by the rule
    return not fixed.fits(user.value)


def _without_effect(name: str, user: Given, variable: Variable | None) -> str:
    what = f"{user.where} has no effect, because the operator sets {name} itself"
    use = f"use {variable.field}, or " if variable and variable.field else ""
    remedy = f"{use}name the key in env, or remove it"
    return f"{what}; {remedy}"
