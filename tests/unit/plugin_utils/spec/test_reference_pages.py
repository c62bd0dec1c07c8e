# SPDX-License-Identifier: Apache-2.0
"""The reference pages say what the code does."""

import re
from pathlib import Path

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.reasons import Reason
from ansible_collections.media.immich.plugins.plugin_utils.spec import names
from support.instances import a_claim, a_cr, a_secret, an_instance_at_work, plan_for, report_for

ROOT = Path(__file__).resolve().parents[4]
SOURCES = ROOT / "plugins" / "plugin_utils"
INGRESS = {"enabled": True, "hosts": [{"host": "photos.example.com", "paths": [{"path": "/"}]}]}


def tables(page, heading):
    """The rows below a heading, each a list of cells without back quotes."""
    text = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in row] for row in rows[2:]]


@pytest.fixture(scope="module")
def objects():
    """Everything that an instance can consist of, {(kind, name with NAME in it): manifest}."""
    several = {"autoscaling": {"enabled": True, "minReplicas": 2}, "podDisruptionBudget": {"enabled": True}}
    route = {"enabled": True, "parentRefs": [{"name": "public"}]}
    specs = [
        {
            "networkPolicy": {"enabled": True},
            "server": {"ingress": INGRESS, "httpRoute": route, **several},
            "machineLearning": several,
            "valkey": {"persistence": {"enabled": True}},
            "immich": {"metrics": {"enabled": True}},
        },
        {"immich": {"configurationKind": "Secret"}, "valkey": {"enabled": False, "host": "redis", "password": "word"}},
    ]
    found = [manifest for spec in specs for manifest in an_instance_at_work(a_cr(spec), route=True, http_route=True)]
    return {(m["kind"], m["metadata"]["name"].replace("photos", "NAME")): m for m in found}


def test_each_reason_is_given_somewhere():
    code = "\n".join(file.read_text(encoding="utf-8") for file in SOURCES.rglob("*.py"))

    assert [reason.name for reason in Reason if f"Reason.{reason.name}" not in code] == []


def test_each_type_of_condition_has_a_row():
    types = [condition["type"] for condition in report_for(a_cr())["status"]["conditions"]]

    assert [row[0] for row in tables("conditions.md", "Types")] == types


def test_each_object_has_a_row_that_says_what_becomes_of_it(objects):
    rows = {
        (kind, name): (component, ends == "yes") for kind, name, component, ends, _ in tables("names.md", "Objects")
    }

    label = "app.kubernetes.io/component"
    assert rows == {
        key: (manifest["metadata"]["labels"][label], bool(manifest["metadata"].get("ownerReferences")))
        for key, manifest in objects.items()
    }


def test_each_label_has_a_row_that_says_who_selects_by_it():
    rows = {
        label: (everyone == "yes", postgres == "yes") for label, _, everyone, postgres in tables("names.md", "Labels")
    }

    selecting = names.selector("x", "y")
    assert rows == {label: (label in selecting, True) for label in names.labels("x", "y")}


def test_each_annotation_has_a_row():
    constants = {value for name, value in vars(names).items() if name.endswith("_ANNOTATION")}

    assert {row[0] for row in tables("names.md", "Annotations")} == constants | set(names.KEEP_ANNOTATIONS)


def test_the_page_has_the_names_of_the_api():
    values = {row[1] for row in tables("names.md", "API")}

    assert values == {names.API_VERSION, names.KIND, names.FIELD_MANAGER, names.FORMER_FINALIZER}


def test_each_port_has_a_row(objects):
    services = {name: manifest for (kind, name), manifest in objects.items() if kind == "Service"}
    wide = plan_for(a_cr({"immich": {"metrics": {"enabled": True}}}), [a_secret("x"), a_claim("x")])
    services |= {m["metadata"]["name"].replace("photos", "NAME"): m for m in wide.objects if m["kind"] == "Service"}

    rows = {(service, port, int(number)) for service, port, number in tables("names.md", "Ports")}

    assert rows == {(name, port["name"], port["port"]) for name, m in services.items() for port in m["spec"]["ports"]}
