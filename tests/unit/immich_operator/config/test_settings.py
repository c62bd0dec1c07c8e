# SPDX-License-Identifier: Apache-2.0
"""Settings: flags, variables, defaults, and their reference page."""

import argparse
import dataclasses
import json
import os
from pathlib import Path
from unittest import mock

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES, IMAGE_VARIABLES
from immich_operator.cli import main
from immich_operator.config import watches
from immich_operator.config.settings import Settings, add_arguments, resolve, without_effect
from immich_operator.errors import SettingsError
from immich_operator.process.election import Sighting, may_take

ROOT = Path(__file__).parents[4]


def settings(*argv: str, **environ: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return resolve(parser.parse_args(argv), environ)


def test_defaults_are_those_of_ansible_operator_run():
    found = settings()

    assert (found.watches_file, found.reconcile_period, found.ansible_verbosity) == (Path("watches.yaml"), 36000, 2)
    assert (found.metrics_bind_address, found.health_probe_bind_address) == (("", 8443), ("", 6789))
    assert (found.leader_elect, found.inject_owner_ref, found.ansible_log_events) == (False, True, "tasks")
    assert (found.leader_elect_lease_duration, found.leader_elect_renew_deadline) == (15, 10)


def test_a_flag_wins_over_its_variable_which_wins_over_the_default():
    assert settings(OPERATOR_RECONCILE_PERIOD="5m").reconcile_period == 300
    assert settings("--reconcile-period=1m", OPERATOR_RECONCILE_PERIOD="5m").reconcile_period == 60


@pytest.mark.parametrize(
    ("argv", "field", "value"),
    [
        (["--leader-elect"], "leader_elect", True),
        (["--leader-elect=false"], "leader_elect", False),
        (["--enable-leader-election"], "leader_elect", True),
        (["--metrics-addr=127.0.0.1:9090"], "metrics_bind_address", ("127.0.0.1", 9090)),
        (["--metrics-bind-address=0"], "metrics_bind_address", None),
        (["--health-probe-bind-address=[::1]:81"], "health_probe_bind_address", ("::1", 81)),
        (["--watch-namespace", "a, b,"], "watch_namespaces", ("a", "b")),
        (["--zap-encoder=console"], "log_format", "text"),
        (["--engine=process"], "engine", "process"),
    ],
)
def test_flags_are_understood_in_all_their_spellings(argv, field, value):
    assert getattr(settings(*argv), field) == value


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--reconcile-period=5"], "--reconcile-period: '5' is not a duration"),
        (["--engine=turbo"], "--engine: 'turbo' is not one of fork, process"),
        (["--leader-elect=perhaps"], "--leader-elect: 'perhaps' is neither true nor false"),
        (["--max-concurrent-reconciles=-1"], "--max-concurrent-reconciles: '-1' is not a whole number"),
        (["--metrics-bind-address=8443"], "--metrics-bind-address: '8443' is not an address"),
        (["--leader-elect", "--leader-elect-renew-deadline=20s"], "leader election needs lease duration > renew"),
        (
            ["--leader-elect", "--leader-elect-lease-duration=61m"],
            "--leader-elect-lease-duration must not be longer than 1h",
        ),
        (["--settle-time=2s"], "--settle-time must not be longer than --settle-time-max"),
        (["--play-timeout=0s"], "--play-timeout must be longer than 0s"),
        (["--watch-namespace=a,B_c"], "--watch-namespace: 'B_c' can't be the name of a namespace: lower case"),
        (["--watch-namespace=*"], "several are separated by commas, and none means all"),
        (["--watch-namespace=a b"], "'a b' can't be the name of a namespace"),
    ],
)
def test_a_value_that_cannot_be_used_names_its_flag(argv, message):
    with pytest.raises(SettingsError) as caught:
        settings(*argv)

    assert message in str(caught.value)


def test_the_longest_lease_is_as_long_as_other_operators_believe_one():
    longest = settings("--leader-elect", "--leader-elect-lease-duration=1h").leader_elect_lease_duration
    record = {"holderIdentity": "another", "leaseDurationSeconds": longest}

    assert not may_take(Sighting(record, 0.0), "me", longest)
    assert may_take(Sighting(record, 0.0), "me", longest + 1)


@pytest.mark.parametrize("flag", ["--metrics-secure", "--metrics-require-rbac"])
def test_protection_of_metrics_is_refused_rather_than_promised(flag):
    assert settings(f"{flag}=false").metrics_bind_address == ("", 8443)
    with pytest.raises(SettingsError, match=f"^{flag}: this operator can't do that: "):
        settings(flag)


def test_flags_of_the_operator_sdk_that_mean_nothing_here_are_accepted_and_reported():
    parser = argparse.ArgumentParser()
    add_arguments(parser)

    arguments = parser.parse_args(["--leader-elect-resource-lock=leases", "--zap-devel", "--engine=process"])

    assert resolve(arguments, {}).engine == "process"
    assert without_effect(arguments) == ["--leader-elect-resource-lock", "--zap-devel"]


def test_a_variable_that_cannot_be_used_is_named():
    with pytest.raises(SettingsError, match="OPERATOR_PLAY_TIMEOUT: 'soon' is not a duration"):
        settings(OPERATOR_PLAY_TIMEOUT="soon")


def test_the_number_of_workers_follows_the_processors_and_is_four_at_most():
    assert 1 <= settings().workers <= 4
    assert settings("--max-concurrent-reconciles=9").workers == 9


def test_every_setting_has_help_and_a_variable_of_its_own():
    metadata = [field.metadata for field in dataclasses.fields(Settings)]

    assert all(entry["help"].endswith((".", "error.", "JSON.")) for entry in metadata)
    assert len({entry["env"] for entry in metadata}) == len(metadata)


def test_a_wrong_setting_is_one_line_and_no_traceback(capsys):
    status = main(["run", "--engine=turbo"])

    assert status == 2
    assert capsys.readouterr().err == "immich-operator: --engine: 'turbo' is not one of fork, process\n"


def test_a_missing_watches_file_is_named(capsys, tmp_path):
    status = main(["run", f"--watches-file={tmp_path}/none.yaml"])

    assert status == 1
    assert f"{tmp_path}/none.yaml cannot be used" in capsys.readouterr().err


DEAD = """\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: secret}}]
contexts: [{name: home, context: {cluster: c, user: u}}]
current-context: home
"""


@pytest.fixture
def started(tmp_path, monkeypatch, capsys):
    """started(*flags) -> (settings that the operator was to run with, log lines), in an empty folder; it does not run."""
    monkeypatch.chdir(tmp_path)
    for variable in IMAGE_VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    ran = []
    monkeypatch.setattr("immich_operator.process.runtime.run", lambda chosen, *_: ran.append(chosen) or 0)

    def run(*flags):
        with mock.patch.dict(os.environ):
            assert main(["run", "--log-format=json", *flags]) == 0
            images = {name: os.environ.get(name) for name in IMAGE_VARIABLES.values()}
        return ran.pop(), images, capsys.readouterr().err

    return run


def test_without_any_file_the_operator_runs_with_watches_and_images_of_the_package(started, monkeypatch):
    monkeypatch.setenv("RELATED_IMAGE_valkey", "registry.example.com/valkey:9")

    chosen, images, log = started()

    assert [watch.kind.kind for watch in watches.load(chosen.watches_file)] == ["Immich"]
    assert images == {
        **{IMAGE_VARIABLES[component]: image for component, image in DEFAULT_IMAGES.items()},
        "RELATED_IMAGE_valkey": "registry.example.com/valkey:9",
    }
    [line] = map(json.loads, log.splitlines())
    assert (Path(line["crds"]) / "media.rm3l.org_immiches.yaml").is_file()


@pytest.mark.parametrize("flags", [(), ("--watches-file=other.yaml",)], ids=["in-the-folder", "given"])
def test_a_file_of_the_administrators_is_taken_alone(started, tmp_path, flags):
    if not flags:
        (tmp_path / "watches.yaml").write_text("[]")

    chosen, images, log = started(*flags)

    assert chosen.watches_file == Path("other.yaml" if flags else "watches.yaml")
    assert set(images.values()) == {None}
    assert log == ""


def test_the_cluster_is_named_before_anything_is_asked_of_it(tmp_path, capsys):
    (tmp_path / "config").write_text(DEAD)
    flags = [f"--watches-file={ROOT}/watches.yaml", f"--kubeconfig={tmp_path}/config", "--watch-namespace=family"]

    main(["run", *flags, "--log-format=json", "--run-dir=/dev/null/none"])  # which ends it right after

    line = json.loads(capsys.readouterr().err.splitlines()[0])
    shown = ("https://127.0.0.1:1", "home", ["family"], f"{ROOT}/watches.yaml")
    assert (line["server"], line["context"], line["namespaces"], line["watches"]) == shown


def test_the_help_names_every_flag(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["run", "--help"])

    text = capsys.readouterr().out
    assert caught.value.code == 0
    assert all(field.metadata["env"] in text.replace("\n", "") for field in dataclasses.fields(Settings))


@pytest.mark.parametrize("word", ["version", "--version"])
def test_the_version_names_what_runs_the_plays(capsys, word):
    assert main([word]) == 0

    assert "ansible-runner" in capsys.readouterr().out


def test_a_watch_that_has_no_effect_is_warned_of_before_anything_else(capsys, tmp_path):
    (tmp_path / "play.yml").write_text("[]")
    watches = tmp_path / "watches.yaml"
    watches.write_text(f"- {{version: v1, group: example.org, kind: Widget, playbook: {tmp_path}/play.yml}}\n")

    main(["run", f"--watches-file={watches}", f"--kubeconfig={tmp_path}/none", "--log-format=json"])

    line = json.loads(capsys.readouterr().err.splitlines()[0])
    assert (line["level"], line["file"], line["entry"]) == ("warning", str(watches), "1 (example.org/v1 Widget)")
    assert "set watchDependentResources: false" in line["remedy"]
