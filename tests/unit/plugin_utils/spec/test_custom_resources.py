# SPDX-License-Identifier: Apache-2.0
"""Which instance the variables of a play describe."""

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec.custom_resources import (
    Described,
    Unusable,
    completed,
    from_text,
    from_variables,
)


def resource(**metadata):
    return {"apiVersion": "media.rm3l.org/v1alpha1", "kind": "Immich", "metadata": {"name": "photos", **metadata}}


def test_what_a_saved_resource_was_where_it_came_from_is_left_out():
    saved = resource(
        namespace="family",
        labels={"a": "b"},
        annotations={"c": "d"},
        uid="1",
        resourceVersion="7",
        generation=3,
        creationTimestamp="2026-01-01T00:00:00Z",
        deletionTimestamp="2026-01-02T00:00:00Z",
        deletionGracePeriodSeconds=0,
        managedFields=[],
    )

    cr = from_variables(Described(cr=saved))

    assert cr["metadata"] == {"name": "photos", "namespace": "family", "labels": {"a": "b"}, "annotations": {"c": "d"}}


@pytest.mark.parametrize(
    ("described", "sentence"),
    [
        pytest.param(
            Described(cr=resource(namespace="p1"), namespace="p2"),
            "Immich photos is in namespace p1, and immich_namespace says p2; change one of them",
            id="two-namespaces",
        ),
        pytest.param(
            Described(cr=resource(namespace=5)),
            "Immich photos: metadata.namespace: must be text. Put it in quotes.",
            id="namespace-is-a-number",
        ),
        pytest.param(
            Described(file="photos.yaml", text="spec:\n  valkey:\n    password: !hunter2pw\n"),
            "photos.yaml: this is not YAML: a value begins with !; put it in quotes, line 3",
            id="password-that-looks-like-a-tag",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence_without_a_secret(described, sentence):
    with pytest.raises(Unusable) as error:
        from_variables(described)

    assert str(error.value) == sentence


def test_a_resource_of_another_kind_is_refused_where_one_kind_is_wanted():
    with pytest.raises(Unusable, match="Toy photos: kind: must be Immich"):
        completed({**resource(), "kind": "Toy"}, "Immich")


def test_the_same_namespace_twice_is_no_conflict():
    assert from_variables(Described(cr=resource(namespace="p1"), namespace="p1"))["metadata"]["namespace"] == "p1"


@pytest.mark.parametrize(
    "text",
    [
        'kind: "a\\e[2J"',
        'kind: Immich\napiVersion: media.rm3l.org/v1alpha1\nmetadata: {name: "a\\e[2J\\u202e\\nb"}',
        'kind: Immich\napiVersion: media.rm3l.org/v1alpha1\nmetadata: {name: a}\nspec: {"\\e]0;x\\a": 1}',
        'kind: Immich\napiVersion: media.rm3l.org/v1alpha1\nmetadata: {name: a}\nspec: {valkey: {enabled: "\\e[2J"}}',
    ],
)
def test_what_is_said_of_a_text_controls_no_terminal(text):
    with pytest.raises(Unusable) as caught:
        completed(from_text(text))

    assert all(line.isprintable() for line in str(caught.value).split("\n"))
