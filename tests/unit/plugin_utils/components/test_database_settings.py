# SPDX-License-Identifier: Apache-2.0
"""Settings of the built-in PostgreSQL: they reach it as they are written, and what endangers the data is told."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.components import database_settings
from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import complete
from support.instances import a_cr, a_secret, container, environment, found, plan_for

OF_IMMICH = "ghcr.io/immich-app/postgres:17-vectorchord0.5.3"
ANOTHER = "tensorchord/vchord-postgres:pg17-v0.5.3"
THE_FILE = ["postgres", "-c", "config_file=/etc/postgresql/postgresql.conf"]


def database(**settings):
    return container(found(plan_for(a_cr({"postgres": settings})), "StatefulSet", "photos-postgres"))


def told(reason, **settings):
    plan = plan_for(a_cr({"postgres": settings}), [a_secret("db", p="x")])
    return [notice.message for notice in plan.notices if notice.reason == reason]


def test_without_settings_the_image_starts_as_it_wants_to():
    assert "args" not in database()
    assert "DB_STORAGE_TYPE" not in environment(found(plan_for(a_cr()), "StatefulSet", "photos-postgres"))


def test_each_setting_is_an_argument_beside_the_file_of_immichs_image():
    args = database(parameters={"work_mem": "64MB", "shared_buffers": "1GB"}, image=OF_IMMICH)["args"]

    assert args == [*THE_FILE, "-c", "shared_buffers=1GB", "-c", "work_mem=64MB"]


def test_another_image_has_no_such_file():
    assert database(parameters={"work_mem": "64MB"}, image=ANOTHER)["args"] == ["postgres", "-c", "work_mem=64MB"]


def test_a_mirror_of_immichs_image_has_it_under_another_name():
    mirrored = "mirror.example.com/immich/postgres:17-vectorchord0.5.3"

    assert database(parameters={"work_mem": "64MB"}, image=mirrored)["args"][:3] == THE_FILE


def test_that_another_images_command_is_replaced_is_told_unless_its_extensions_are_named():
    [message] = told("SafeguardRemoved", parameters={"work_mem": "64MB"}, image=ANOTHER)
    assert "shared_preload_libraries" in message
    named = {"work_mem": "64MB", "shared_preload_libraries": "vchord.so"}
    assert told("SafeguardRemoved", parameters=named, image=ANOTHER) == []


def as_the_kubelet_does(argument):
    """`$(NAME)` of a variable that there is gets its value, `$$` is a dollar sign."""
    return re.sub(r"\$\$|\$\(PGDATA\)", lambda found: "$" if found[0] == "$$" else "/wherever", argument)


@given(st.text(max_size=20) | st.sampled_from(["$(PGDATA)", "$$(PGDATA)", "' -c fsync=off", "a b\nc"]))
def test_a_value_says_nothing_but_itself(value):
    args = database_settings.arguments({"application_name": value}, OF_IMMICH)

    assert [as_the_kubelet_does(each) for each in args] == [*THE_FILE, "-c", f"application_name={value}"]


def test_the_kind_of_disk_goes_to_immichs_image():
    manifest = found(plan_for(a_cr({"postgres": {"storageType": "HDD"}})), "StatefulSet", "photos-postgres")

    assert environment(manifest)["DB_STORAGE_TYPE"] == "HDD"
    assert told("SettingIgnored", storageType="HDD") == []
    [message] = told("SettingIgnored", storageType="HDD", image=ANOTHER)
    assert message.startswith("spec.postgres.storageType has no effect")


@pytest.mark.parametrize(
    ("name", "value", "is_told"),
    [
        ("fsync", "off", True),
        ("fsync", "FALSE", True),
        ("fsync", "on", False),
        ("full_page_writes", "0", True),
        ("synchronous_commit", "off", True),
        ("synchronous_commit", "local", False),
        ("zero_damaged_pages", "on", True),
        ("zero_damaged_pages", "off", False),
    ],
)
def test_what_endangers_the_data_is_told(name, value, is_told):
    messages = told("SafeguardRemoved", parameters={name: value})

    assert [f"spec.postgres.parameters: {name} is {value}" in message for message in messages] == is_told * [True]


def test_an_external_database_has_its_own_settings():
    external = {"enabled": False, "host": "db", "passwordSecretRef": {"name": "db", "key": "p"}}

    messages = told("SettingIgnored", **external, parameters={"work_mem": "1MB"}, storageType="HDD")

    assert messages == [
        f"spec.postgres.{key} is not used, because spec.postgres.enabled is false"
        for key in ("parameters", "storageType")
    ]


@pytest.mark.parametrize("name", ["Fsync", "a=b", "work_mem -c fsync", "", "a.b.c", "-c"])
def test_what_is_no_name_of_a_setting_is_told_with_its_field(name):
    cr = {"apiVersion": "media.rm3l.org/v1alpha1", "kind": "Immich", "metadata": {"name": "photos"}}

    _, [problem] = complete({**cr, "spec": {"postgres": {"parameters": {name: "on"}}}})

    assert problem.path == "spec.postgres.parameters"
    assert problem.what.startswith("the name of a setting consists of lower case letters")
