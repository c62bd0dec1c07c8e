# SPDX-License-Identifier: Apache-2.0
"""`immich-operator render`: manifests without a cluster, and mistakes named by their path."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import documents
from immich_operator.cli import main

MINIMAL = "apiVersion: media.rm3l.org/v1alpha1\nkind: Immich\nmetadata: {name: photos, namespace: family}\n"


@pytest.fixture
def render(tmp_path, capsys, monkeypatch):
    """render(text, *flags) -> (exit status, standard output, standard error)"""
    for variable in ("immich", "machineLearning", "valkey", "postgres"):
        monkeypatch.delenv(f"RELATED_IMAGE_{variable}", raising=False)

    def run(text, *flags):
        file = tmp_path / "cr.yaml"
        file.write_text(text, encoding="utf-8")
        status = main(["render", *flags, str(file)])
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return run


def names(output):
    return {(item["kind"], item["metadata"]["name"]) for item in documents(output) if item}


def test_a_custom_resource_without_spec_becomes_its_manifests_with_the_default_images(render):
    status, output, errors = render(MINIMAL)

    assert (status, errors) == (0, "")
    assert ("Deployment", "photos-server") in names(output)
    assert ("StatefulSet", "photos-postgres") in names(output)
    assert "ghcr.io/immich-app/immich-server:v3.3.1" in output


def test_the_same_file_gives_the_same_text(render):
    assert render(MINIMAL) == render(MINIMAL)


def test_what_is_made_at_random_is_left_out_with_a_word_unless_asked_for(render):
    _, without, _ = render(MINIMAL)
    _, included, _ = render(MINIMAL, "--with-credentials")

    secrets = {i["metadata"]["name"]: i["data"] for i in documents(included) if i and i["kind"] == "Secret"}
    assert secrets.keys() == {"photos-postgres-credentials", "photos-checksum-key"}
    for name in secrets:
        assert ("Secret", name) not in names(without)
        assert f"# Secret {name}" in without
    assert len(base64.b64decode(secrets["photos-postgres-credentials"]["password"])) == 32


def test_a_value_that_only_a_secret_knows_is_shown_as_where_it_comes_from(render):
    spec = "spec: {immich: {configuration: {oauth: {clientSecretRef: {name: sso, key: client}}}}}\n"

    _, output, _ = render(MINIMAL + spec)

    [secret] = [item for item in documents(output) if item and item["kind"] == "Secret"]
    assert "<key client of Secret sso>" in base64.b64decode(secret["data"]["immich-config.yaml"]).decode()


def test_what_looks_like_a_date_stays_text_as_for_kubectl(render):
    _, output, _ = render(MINIMAL + "spec: {server: {podAnnotations: {checked: 2026-11-24}}}\n")

    [server] = [item for item in documents(output) if item and item["metadata"]["name"] == "photos-server"][:1]
    assert server["spec"]["template"]["metadata"]["annotations"]["checked"] == "2026-11-24"


@pytest.mark.parametrize(
    "word", ["1e3", "1.5e3", "0o17", "0x1F", "12", "1.0", ".5", "y", "no", "null", "2026-11-24", "1:20"]
)
def test_what_kubectl_would_take_for_something_else_is_in_quotes(render, word):
    _, output, _ = render(MINIMAL + f"spec: {{server: {{podAnnotations: {{build: '{word}'}}}}}}\n")

    [line] = {line.strip() for line in output.splitlines() if line.strip().startswith("build:")}
    assert line in {f"build: '{word}'", f'build: "{word}"'}


def test_images_come_from_the_environment_before_the_defaults(render, monkeypatch):
    monkeypatch.setenv("RELATED_IMAGE_valkey", "mirror.example.com/valkey:9")

    _, output, _ = render(MINIMAL)

    assert "mirror.example.com/valkey:9" in output
    assert "docker.io/valkey" not in output


def test_a_route_is_rendered_for_a_cluster_that_has_the_api(render):
    assert ("Route", "photos-server") not in names(render(MINIMAL)[1])
    assert ("Route", "photos-server") in names(render(MINIMAL, "--route")[1])


def test_a_warning_goes_to_standard_error_and_the_manifests_are_printed(render):
    status, output, errors = render(MINIMAL + "spec: {server: {replicas: 3}}\n")

    assert status == 0
    assert "PersistentVolumeClaim photos-library is not ReadWriteMany" in errors
    assert ("Deployment", "photos-server") in names(output)


@pytest.mark.parametrize(
    ("text", "status", "message"),
    [
        pytest.param(
            MINIMAL + "spec: {server: {replicas: -1}}\n", 1, "Immich photos: spec.server.replicas", id="value"
        ),
        pytest.param(MINIMAL + "spec: {sever: {}}\n", 1, "spec.sever", id="misspelt"),
        pytest.param(MINIMAL + "spec: {valkey: {enabled: false}}\n", 1, "spec.valkey.host", id="missing"),
        pytest.param(
            MINIMAL + "spec: {immich: {configuration: {ffmpeg: {crf: 99}}}}\n", 1, "crf: 99 is not", id="held-back"
        ),
        pytest.param(MINIMAL.replace("Immich", "Imich"), 1, "must be Immich", id="another-kind"),
        pytest.param("- a list\n", 1, "not a Kubernetes object", id="no-object"),
        pytest.param("", 1, "no custom resource in", id="empty"),
        pytest.param("a: 1\nb: [", 2, "cr.yaml: not YAML: line 3, column 1: did not find", id="not-yaml"),
        pytest.param("a: \x01", 2, "cr.yaml: not YAML: ", id="control-character"),
        pytest.param(
            MINIMAL + "spec: {}\nspec: {}\n",
            2,
            "cr.yaml: not YAML: line 5, column 1: the key spec is there twice",
            id="twice",
        ),
        pytest.param(
            MINIMAL + "spec:\n  server:\n    env:\n    - {name: A, name: B}\n",
            2,
            "the key name is there twice",
            id="twice-below",
        ),
        pytest.param(MINIMAL + "spec:\n\tserver: {}\n", 2, "A tab can't indent YAML: use blanks", id="tab"),
        pytest.param(MINIMAL.replace("photos", "5"), 1, "metadata.name: must be text. Put it in quotes.", id="number"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_printed(render, text, status, message):
    done, output, errors = render(text)

    assert (done, output) == (status, "")
    assert message in errors
    assert "cr.yaml" in errors


def test_a_key_may_replace_one_that_comes_by_an_alias(render):
    spec = "spec: {server: {resources: &r {limits: {cpu: 1}}}, valkey: {resources: {<<: *r, limits: {cpu: 2}}}}\n"

    status, output, errors = render(MINIMAL + spec)

    assert (status, errors) == (0, "")
    assert "cpu: 2" in output


def test_a_list_is_read_as_its_items(render):
    items = "\n".join(f"  {line}" for line in MINIMAL.splitlines())

    status, output, errors = render(f"apiVersion: v1\nkind: List\nitems:\n-{items[1:]}\n")

    assert (status, errors) == (0, "")
    assert output == render(MINIMAL)[1]


def test_one_bad_custom_resource_does_not_hide_the_others(render):
    bad = MINIMAL.replace("photos", "bad") + "spec: {server: {replicas: -1}}\n"

    status, output, errors = render(f"{bad}---\n{MINIMAL}")

    assert status == 1
    assert "Immich bad: spec.server.replicas" in errors
    assert ("Deployment", "photos-server") in names(output)


def test_objects_of_other_kinds_are_passed_over_with_a_note(render):
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: sso}\n"

    status, output, errors = render(f"{secret}---\n{MINIMAL}")

    assert (status, output) == (0, render(MINIMAL)[1])
    assert "cr.yaml: Secret sso is passed over: manifests are made of kind Immich only" in errors
    assert len(errors.splitlines()) == 1


def test_a_file_with_other_kinds_only_holds_nothing_to_render(render):
    status, output, errors = render("apiVersion: v1\nkind: Secret\nmetadata: {name: sso}\n")

    assert (status, output) == (1, "")
    assert "no custom resource in" in errors


def test_an_immich_of_another_version_is_not_passed_over(render):
    assert "apiVersion: must be media.rm3l.org/v1alpha1" in render(MINIMAL.replace("v1alpha1", "v2"))[2]


def test_a_file_that_is_not_utf_8_is_named_with_the_place(tmp_path, capsys):
    file = tmp_path / "cr.yaml"
    file.write_bytes(MINIMAL.replace("family", "stra\u00dfe").encode("latin-1"))

    assert main(["render", str(file)]) == 2
    assert f"{file}: not text in UTF-8: byte " in capsys.readouterr().err


@pytest.fixture
def minimal_file(tmp_path):
    file = tmp_path / "cr.yaml"
    file.write_text(MINIMAL, encoding="utf-8")
    return file


COMMAND = [sys.executable, "-m", "immich_operator"]


def test_a_reader_that_has_seen_enough_is_no_cause_for_a_traceback(minimal_file):
    with subprocess.Popen(
        [*COMMAND, "render", minimal_file], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        errors = process.stderr.read()

    assert (process.returncode, errors) == (1, b"")


@pytest.mark.parametrize("arguments", [["render"], ["version"], ["completion", "bash"]], ids=lambda words: words[0])
def test_output_that_finds_no_room_is_an_error_in_one_line(arguments, minimal_file):
    files = [minimal_file] if arguments == ["render"] else []
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = subprocess.run([*COMMAND, *arguments, *files], stdout=full, stderr=subprocess.PIPE, check=False)

    assert done.returncode == 1
    assert done.stderr == b"immich-operator: the output cannot be written: No space left on device\n"


def test_manifests_are_utf_8_whatever_the_locale_is(minimal_file):
    minimal_file.write_text(MINIMAL + "spec: {server: {podAnnotations: {stra\u00dfe: \u2713}}}\n", encoding="utf-8")

    done = subprocess.run(
        [*COMMAND, "render", minimal_file], capture_output=True, check=False, env={"PYTHONIOENCODING": "latin-1"}
    )

    assert "stra\u00dfe: \u2713" in done.stdout.decode("utf-8")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        pytest.param("/nowhere/cr.yaml", "/nowhere/cr.yaml: No such file or directory\n", id="nowhere"),
        pytest.param("", "'': No such file or directory\n", id="an-empty-variable"),
        pytest.param("/", "/: Is a directory\n", id="folder"),
        pytest.param(
            "https://example.com/x.yaml", "No such file or directory. This is an address: write", id="address"
        ),
    ],
)
def test_a_file_that_is_not_there_is_named(capsys, file, said):
    assert main(["render", file]) == 2
    assert said in capsys.readouterr().err


def test_a_file_as_powershell_writes_it_is_told_with_what_to_do(tmp_path, capsys):
    file = tmp_path / "cr.yaml"
    file.write_text(MINIMAL, encoding="utf-16")

    assert main(["render", str(file)]) == 2
    assert "It begins like UTF-16, which PowerShell writes: save it as UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        pytest.param(
            ["render", "FILE", ">&-"], 1, b"immich-operator: the output cannot be written: it is closed\n", id="output"
        ),
        pytest.param(
            ["version", ">&-"], 1, b"immich-operator: the output cannot be written: it is closed\n", id="of-another"
        ),
        pytest.param(["render", "-", "<&-"], 2, b"immich-operator render: standard input: it is closed\n", id="input"),
    ],
)
def test_a_stream_that_is_closed_from_the_start_is_an_error_in_one_line(minimal_file, arguments, status, said):
    words = " ".join([*COMMAND, *arguments]).replace("FILE", str(minimal_file))

    done = subprocess.run(words, shell=True, capture_output=True, check=False)  # noqa: S602 - a shell closes it

    assert (done.returncode, done.stderr) == (status, said)


def test_what_is_said_is_not_among_the_manifests_where_nobody_hears_it(minimal_file):
    minimal_file.write_text(MINIMAL + "spec: {server: {replicas: 3}}\n", encoding="utf-8")

    words = " ".join([*COMMAND, "render", str(minimal_file), "2>&-"])
    done = subprocess.run(words, shell=True, capture_output=True, check=False)  # noqa: S602 - a shell closes it

    assert (done.returncode, b"ReadWriteMany:" in done.stdout) == (0, False)


def test_standard_input_is_read_for_a_dash(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(MINIMAL.encode())))

    assert main(["render", "-"]) == 0
    assert ("Deployment", "photos-server") in names(capsys.readouterr().out)


TRICKS = "\x1b[2J\x9b\u202e\u2028\u200b\U000e0041\x00"


def as_yaml(cr):
    """JSON has two escapes for a character that YAML has one for."""
    return json.dumps(cr).replace("\\udb40\\udc41", "\\U000e0041")


def printable(output):
    return all(line.isprintable() for line in output.split("\n"))


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        pytest.param({"server": {"podAnnotations": {"note": TRICKS}}}, ["metadata", "annotations", "note"], id="value"),
        pytest.param(
            {"server": {"podAnnotations": {"note": f"a\nb{TRICKS}"}}}, ["metadata", "annotations", "note"], id="lines"
        ),
    ],
)
def test_manifests_show_tricks_as_escapes_and_hold_them_as_they_were(render, spec, where):
    cr = {"apiVersion": "media.rm3l.org/v1alpha1", "kind": "Immich", "metadata": {"name": "photos"}, "spec": spec}

    status, output, _errors = render(as_yaml(cr))

    assert status == 0
    assert printable(output)
    [server] = [
        item
        for item in documents(output)
        if item and item["metadata"]["name"] == "photos-server" and item["kind"] == "Deployment"
    ]
    found = server["spec"]["template"]
    for key in where:
        found = found[key]
    assert found == spec["server"]["podAnnotations"]["note"]


@pytest.mark.parametrize(
    "cr",
    [
        pytest.param({"kind": TRICKS, "metadata": {"name": TRICKS}}, id="another-kind"),
        pytest.param({"kind": "Immich", "metadata": {"name": f"x\n---\nkind: Secret{TRICKS}"}}, id="name"),
        pytest.param({"kind": "Immich", "metadata": {"name": "photos", "namespace": f"x\n{TRICKS}"}}, id="namespace"),
        pytest.param({"kind": "Immich", "metadata": {"name": "photos"}, "spec": {TRICKS: {TRICKS: 1}}}, id="field"),
        pytest.param(
            {"kind": "Immich", "metadata": {"name": "photos"}, "spec": {"server": {"enabled": TRICKS}}}, id="value"
        ),
        pytest.param(
            {"kind": "Immich", "metadata": {"name": "photos"}, "spec": {"immich": {"configuration": {TRICKS: 1}}}},
            id="setting",
        ),
    ],
)
def test_what_is_said_of_a_file_controls_no_terminal(render, cr):
    _status, output, errors = render(as_yaml({"apiVersion": "media.rm3l.org/v1alpha1", **cr}))

    assert printable(output)
    assert printable(errors)
    assert errors


@pytest.mark.parametrize("name", ["x\nkind: Secret", "../x", "..", "a b", "", "A"])
def test_a_namespace_that_is_no_name_is_a_mistake(render, name):
    cr = {"apiVersion": "media.rm3l.org/v1alpha1", "kind": "Immich", "metadata": {"name": "photos", "namespace": name}}

    status, output, errors = render(json.dumps(cr))

    if name:
        assert (status, output) == (1, "")
        assert "metadata.namespace" in errors
    else:
        assert status == 0


BOMB = "spec: {a0: &a0 [x, x]}\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        pytest.param(MINIMAL + BOMB, "it has more than 500,000 values, aliases written out", id="aliases-to-aliases"),
        pytest.param(MINIMAL + "spec: &a {b: *a}\n", "line 4: an alias to what it is in never ends", id="itself"),
        pytest.param(MINIMAL + "spec: " + "[" * 101 + "]" * 101, "more than 100 levels deep", id="depth"),
        pytest.param(MINIMAL + "#" * 9_000_000, "it is larger than 8 MiB", id="size"),
        pytest.param(MINIMAL + "spec: {server: {replicas: " + "9" * 5000 + "}}", "more than 300 digits", id="number"),
    ],
)
def test_a_file_beyond_a_bound_is_named_with_the_bound_at_once(render, text, bound):
    status, output, errors = render(text)

    assert (status, output) == (2, "")
    assert "cr.yaml: " in errors
    assert bound in errors


def test_an_endless_file_is_not_read_to_its_end(capsys):
    assert main(["render", "/dev/zero"]) == 2
    assert "/dev/zero: it is larger than 8 MiB" in capsys.readouterr().err
