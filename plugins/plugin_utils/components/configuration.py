# SPDX-License-Identifier: Apache-2.0
"""Immich's configuration file: what the operator knows, overridden by what the user says, with Secrets filled in."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from ..kube.values import dig, is_deeper, merged
from ..spec import names, ports
from ..spec.images import release_of
from ..spec.immich_settings import OPERATOR, Finding, check_settings, converted
from ..spec.immich_settings_schema import VERIFIED_RELEASES
from ..spec.names import Component
from . import acceleration
from .description import Description, Removable, Wanted
from .instance import Cluster, Draft, Instance, Part
from .reasons import Reason
from .required import Used, secret_text

COMPONENT = Component("config")
PATH = "spec.immich.configuration"
DEEPEST = 100
"""Levels. No setting has more than five, and the file could not be written with several hundred."""

SECRET_SETTINGS = (
    (("notifications", "smtp", "transport"), "passwordSecretRef", "password"),
    (("oauth",), "clientSecretRef", "clientSecret"),
)
"""(where, the operator's key, Immich's key): the two secret values in Immich's settings."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """Where the server finds its configuration, and the checksum that replaces its pods when that changes."""

    kind: str
    """ConfigMap, Secret, or None: no file at all."""
    name: str
    checksum: str | None


def plan(instance: Instance, cluster: Cluster, draft: Draft) -> list[Part]:
    return [_file(instance, cluster, draft)]


def planned(instance: Instance, draft: Draft) -> ConfigFile | None:
    """The file that a draft brings.

    None when a Secret is missing, or when Immich would not start with the settings: then all stays as it is, the old file
    too, which a pod that starts again would read.
    """
    [part] = [part for part in draft.parts if part.component == COMPONENT]
    if part.is_blocked:
        return None
    name = names.config_object(instance.name)
    if not part.steps:
        return ConfigFile("None", name, None)
    manifest = part.steps[0]["object"]
    content = manifest["data"][names.CONFIG_FILE]
    text = base64.b64decode(content).decode() if manifest["kind"] == "Secret" else content
    return ConfigFile(manifest["kind"], name, draft.checksums.of(text))


def _file(instance: Instance, cluster: Cluster, draft: Draft) -> Part:
    """The object that holds the file, if there is to be one."""
    part = Part(COMPONENT)
    wanted_kind, users = instance.spec.immich.configuration_kind, instance.spec.immich.configuration
    if is_deeper(users, DEEPEST):
        part.blocks(Reason.SPEC_INVALID, f"{PATH} is nested more than {DEEPEST} levels deep; make it flatter")
        return part
    users = converted(users)
    acceleration.tell_of_transcoding(part, instance, users)
    _tell_of_doubtful_settings(part, instance, cluster, draft, users, wanted_kind)
    if part.is_blocked or wanted_kind == "None":
        return part

    settings = merged(generated_settings(instance), with_machine_learning_urls(users))
    settings, has_secrets = _with_secrets(part, instance, cluster, settings)
    if part.is_blocked:
        return part
    text = as_yaml(settings)
    kind = "Secret" if has_secrets else wanted_kind
    manifest = instance.manifest("v1", kind, names.config_object(instance.name), part.component)
    if kind == "Secret":
        manifest["type"] = "Opaque"
        manifest["data"] = {names.CONFIG_FILE: base64.b64encode(text.encode()).decode()}
    else:
        manifest["data"] = {names.CONFIG_FILE: text}
    part.apply(manifest)
    return part


def used_secrets(instance: Instance) -> list[Used]:
    """The Secrets that end up in the file."""
    users = instance.spec.immich.configuration
    references = [dig(users, *where, key) for where, key, _unused in SECRET_SETTINGS]
    return [
        Used("Secret", reference["name"], reference.get("key"))
        for reference in references
        if isinstance(reference, Mapping) and isinstance(reference.get("name"), str)
    ]


def machine_learning_url(instance: Instance) -> str | None:
    """Where Immich finds machine learning: our Service, the user's address, or nowhere."""
    if instance.spec.machine_learning.enabled:
        return f"http://{names.workload_name(instance.name, Component.MACHINE_LEARNING)}:{ports.MACHINE_LEARNING}"
    return instance.spec.machine_learning.url or None


def generated_settings(instance: Instance) -> dict[str, Any]:
    """The settings that follow from the rest of the custom resource. Immich's key is the list `urls`, never empty."""
    url = machine_learning_url(instance)
    return {
        "machineLearning": {"enabled": True, "urls": [url]} if url else {"enabled": False},
        **acceleration.transcoding_settings(instance),
    }


def with_machine_learning_urls(users: Mapping[str, Any]) -> Mapping[str, Any]:
    """The user's settings with `machineLearning.url` put into Immich's list `urls`, unless that is given too."""
    ours = users.get("machineLearning")
    if not isinstance(ours, Mapping) or "url" not in ours:
        return users
    rest = {key: value for key, value in ours.items() if key != "url"}
    urls = {"urls": [ours["url"]]} if ours["url"] else {}
    return {**users, "machineLearning": {**urls, **rest}}


def as_yaml(settings: Mapping[str, Any]) -> str:
    """YAML that means the same to PyYAML (1.1) and to Immich's js-yaml (1.2): any ambiguous string is quoted."""
    return str(
        yaml.dump(
            settings, Dumper=_QuotingDumper, sort_keys=True, allow_unicode=True, default_flow_style=False, width=4096
        )
    )


class _QuotingDumper(yaml.SafeDumper):
    """Leaves only strings unquoted that no version of YAML reads as anything else ("1e3" is a float only in 1.2)."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's signature
        return True


_PLAIN = re.compile(r"[A-Za-z/][A-Za-z/_-]*")
_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"])


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


_QuotingDumper.add_representer(str, _string)


def _with_secrets(
    part: Part, instance: Instance, cluster: Cluster, settings: dict[str, Any]
) -> tuple[dict[str, Any], bool]:
    """The settings with the values of referenced Secrets in place of the references, and whether there were any."""
    has_secrets = False
    for where, reference_key, key in SECRET_SETTINGS:
        holder = dig(settings, *where)
        if not isinstance(holder, Mapping) or reference_key not in holder:
            continue
        has_secrets = True
        path = ".".join((PATH, *where, reference_key))
        value = secret_text(part, instance, cluster, dig(holder, reference_key, default={}), path)
        rest = {name: entry for name, entry in holder.items() if name != reference_key}
        settings = _replaced(settings, where, {**rest, key: value})
    return settings, has_secrets


def _replaced(settings: Mapping[str, Any], where: tuple[str, ...], value: Mapping[str, Any]) -> dict[str, Any]:
    head, *rest = where
    return {**settings, head: _replaced(settings[head], tuple(rest), value) if rest else value}


def _tell_of_doubtful_settings(
    part: Part, instance: Instance, cluster: Cluster, draft: Draft, users: Mapping[str, Any], kind: str
) -> None:
    if kind == "None":
        if users:
            part.warns(Reason.SETTING_IGNORED, f"{PATH} is not used, because spec.immich.configurationKind is None")
        return
    release = release_of(draft.image(instance, Component.SERVER) or "")
    is_verified = release in VERIFIED_RELEASES
    refused = []
    for finding in check_settings(users, release):
        message = f"{finding.path}: {finding.what}. {finding.remedy}"
        if finding.refused_by == OPERATOR or (finding.refused_by and is_verified):
            refused.append(message)
        else:
            part.warns(_reason(finding), message)
    if refused:
        part.blocks(Reason.INVALID_SETTING, f"{'; '.join(refused)}. {_until_then(instance, cluster)}")


def _until_then(instance: Instance, cluster: Cluster) -> str:
    if cluster.deployment(instance, Component.SERVER):
        return "Until then the server keeps running with its previous settings"
    return "Until then the server is not started"


def _reason(finding: Finding) -> Reason:
    if finding.shows_secret:
        return Reason.SECRET_IN_PLAIN_TEXT
    return Reason.INVALID_SETTING if finding.fatal else Reason.UNKNOWN_SETTING


def _is_kind(kind: str) -> Wanted:
    def is_wanted(instance: Instance, _cluster: Cluster, draft: Draft) -> bool:
        file = planned(instance, draft)
        return file is None or file.kind == kind

    return is_wanted


DESCRIPTION = Description(
    component=COMPONENT,
    title="Settings",
    plan=plan,
    feeds_server=True,
    removable=(
        *(Removable(kind=kind, name=names.config_object, is_wanted=_is_kind(kind)) for kind in ("ConfigMap", "Secret")),
        Removable(kind="Secret", name=names.checksum_key, is_wanted=lambda _instance, _cluster, _draft: True),
    ),
)
