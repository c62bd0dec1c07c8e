# SPDX-License-Identifier: Apache-2.0
"""The filter media.immich.custom_resource."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.media.immich.plugins.filter.custom_resource import FilterModule
from ansible_collections.media.immich.plugins.plugin_utils.spec.custom_kinds import CUSTOM_KINDS

pytestmark = pytest.mark.every_core

CUSTOM_RESOURCE = FilterModule().filters()["custom_resource"]
ONE_OF_OURS = "one " + " or ".join(f"{row.kind} ({row.api_version})" for row in CUSTOM_KINDS)
MINIMAL = "apiVersion: media.rm3l.org/v1alpha1\nkind: Immich\nmetadata: {name: photos}\n"


def test_the_one_custom_resource_of_a_text_gets_its_defaults() -> None:
    cr = CUSTOM_RESOURCE(f"---\n# nothing but a comment\n---\n{MINIMAL}---\n")

    assert cr["metadata"] == {"name": "photos"}
    assert cr["spec"]["immich"]["persistence"]["library"] == {"size": "10Gi", "accessModes": ["ReadWriteOnce"]}


def test_defaults_can_be_declined() -> None:
    cr = CUSTOM_RESOURCE(MINIMAL + "spec: {server: {replicas: 2}}\n", defaults=False)

    assert cr["spec"] == {"server": {"replicas": 2}}


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        pytest.param("{name: photos}", "family", id="none-in-the-text"),
        pytest.param("{name: photos, namespace: own}", "own", id="one-in-the-text"),
    ],
)
def test_a_namespace_is_filled_in_but_not_replaced(metadata: str, expected: str) -> None:
    text = f"apiVersion: media.rm3l.org/v1alpha1\nkind: Immich\nmetadata: {metadata}\n"

    cr = CUSTOM_RESOURCE(text, namespace="family")

    assert cr["metadata"]["namespace"] == expected


def test_braces_in_the_text_are_never_taken_for_a_template() -> None:
    text = MINIMAL + "spec: {immich: {configuration: {a: '{{ 6 * 7 }}'}}, server: {podAnnotations: {b: '{% raw %}'}}}\n"
    templar = Templar(loader=DataLoader(), variables={"cr": CUSTOM_RESOURCE(text)})

    spec = templar.template("{{ cr }}" if not hasattr(templar, "_engine") else _trusted("{{ cr }}"))["spec"]

    assert spec["immich"]["configuration"] == {"a": "{{ 6 * 7 }}"}
    assert spec["server"]["podAnnotations"] == {"b": "{% raw %}"}


def _trusted(template: str) -> Any:
    """From ansible-core 2.19 on, only text that is marked as trusted is a template."""
    from ansible.template import trust_as_template  # noqa: PLC0415 - absent in 2.18

    return trust_as_template(template)


def test_a_date_stays_text_as_in_kubectl() -> None:
    cr = CUSTOM_RESOURCE(MINIMAL + "spec: {server: {podAnnotations: {since: 2024-01-31}}}\n")

    assert cr["spec"]["server"]["podAnnotations"] == {"since": "2024-01-31"}


def test_all_problems_are_listed_with_their_paths() -> None:
    with pytest.raises(AnsibleFilterError) as failure:
        CUSTOM_RESOURCE(
            MINIMAL + "spec: {server: {replicas: -1}, postgres: {enabled: false}, valkey: {password: 12345}}\n"
        )

    assert str(failure.value) == (
        "media.immich.custom_resource: Immich photos cannot work as it is:\n"
        "  spec.server.replicas: must be at least 0, not -1. Correct the number.\n"
        "  spec.valkey.password: must be text, not a number. Put it in quotes.\n"
        "  spec.postgres.host: an external database needs a host."
        " Set spec.postgres.host, or set spec.postgres.urlSecretRef.\n"
        "  spec.postgres.passwordSecretRef: an external database needs a password."
        " Set spec.postgres.passwordSecretRef, or set spec.postgres.urlSecretRef."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", f"the text is empty. It needs {ONE_OF_OURS}", id="empty"),
        pytest.param("# only a comment\n", f"the text is empty. It needs {ONE_OF_OURS}", id="comment"),
        pytest.param(
            "kind: Secret\nmetadata: {name: db}\n",
            f"the text holds Secret db. Keep only {ONE_OF_OURS} in it and apply the rest with kubectl",
            id="other-kind",
        ),
        pytest.param(
            f"{MINIMAL}---\nkind: Secret\nmetadata: {{name: db}}\n---\nkind: Namespace\n",
            f"the text holds Secret db, Namespace without name. Keep only {ONE_OF_OURS} in it and apply the rest with "
            f"kubectl",
            id="other-kinds-beside-it",
        ),
        pytest.param(
            f"{MINIMAL}---\n{MINIMAL.replace('photos', 'videos')}",
            "the text holds 2 custom resources: Immich photos, Immich videos. Put each into its own file",
            id="two",
        ),
        pytest.param(
            "just text",
            f"the text holds a document without kind. Keep only {ONE_OF_OURS} in it and apply the rest with kubectl",
            id="no-object",
        ),
        pytest.param(
            "kind: Immich\n  metadata: x\n",
            "this is not YAML: mapping values are not allowed in this context, line 2",
            id="no-yaml",
        ),
        pytest.param({"kind": "Immich"}, "give the text of a YAML file, not dict", id="no-text"),
    ],
)
def test_a_text_without_exactly_one_custom_resource_is_refused(text: Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError) as failure:
        CUSTOM_RESOURCE(text)

    assert str(failure.value) == f"media.immich.custom_resource: {message}"
