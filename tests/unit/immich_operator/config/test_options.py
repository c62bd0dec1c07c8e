# SPDX-License-Identifier: Apache-2.0
"""What annotations and variables set for the passes of one resource, or of one kind."""

from pathlib import Path

import pytest

from immich_operator.config.options import Bounds, PassOptions, options_of, verbosity_for, workers_for
from immich_operator.config.watches import Watch
from immich_operator.kube.resources import Kind

BOUNDS = Bounds(min_period_s=30, max_verbosity=3, max_artifacts=20)
WATCH = Watch(kind=Kind("example.org/v1", "Widget"), role=Path("/roles/widget"))


def asked(watch: Watch = WATCH, *, period_s: float = 36000, usual_verbosity: int = 2, **wishes: str) -> PassOptions:
    annotations = {f"ansible.sdk.operatorframework.io/{name.replace('_', '-')}": text for name, text in wishes.items()}
    cr = {"metadata": {"annotations": annotations}}
    return options_of(cr, watch, period_s=period_s, verbosity=usual_verbosity, bounds=BOUNDS)


def test_annotations_go_before_everything_else():
    options = asked(reconcile_period="5m", verbosity="3", max_runner_artifacts="1")

    assert (options.period_s, options.verbosity, options.artifacts, options.problems) == (300, 3, 1, ())


@pytest.mark.parametrize(
    ("wish", "given", "got"),
    [
        pytest.param("reconcile_period", "1ns", 30, id="at-once"),
        pytest.param("reconcile_period", "29.9s", 30, id="a-little-too-often"),
        pytest.param("reconcile_period", "30s", 30, id="just-often-enough"),
        pytest.param("reconcile_period", "0s", 0, id="never"),
        pytest.param("reconcile_period", "2562047h", 2562047 * 3600, id="seldom"),
        pytest.param("verbosity", "7", 3, id="talkative"),
        pytest.param("verbosity", "999999999", 3, id="very-talkative"),
        pytest.param("verbosity", "0", 0, id="quiet"),
        pytest.param("max_runner_artifacts", "0", 20, id="all-artifacts"),
        pytest.param("max_runner_artifacts", "00", 20, id="all-artifacts-in-other-words"),
        pytest.param("max_runner_artifacts", "21", 20, id="many-artifacts"),
        pytest.param("max_runner_artifacts", "1", 1, id="few-artifacts"),
    ],
)
def test_an_annotation_may_ask_for_less_and_for_more_only_within_bounds(wish, given, got):
    options = asked(**{wish: given})

    attribute = {"reconcile_period": "period_s", "max_runner_artifacts": "artifacts"}.get(wish, wish)
    assert getattr(options, attribute) == got
    is_replaced = given not in ("30s", "0s", "2562047h", "1") and not (wish == "verbosity" and given == "0")
    assert len(options.problems) == int(is_replaced)


def test_what_the_administrator_sets_is_never_out_of_bounds():
    watch = Watch(kind=WATCH.kind, role=WATCH.role, max_runner_artifacts=50, reconcile_period_s=5.0)

    assert asked(watch, usual_verbosity=6) == PassOptions(period_s=5, verbosity=6, artifacts=50)
    asking = {"reconcile_period": "5s", "max_runner_artifacts": "50"}
    assert asked(watch, **asking) == PassOptions(period_s=5, verbosity=2, artifacts=50)


def test_an_annotation_that_cannot_be_read_is_named_and_ignored():
    annotations = {
        "ansible.sdk.operatorframework.io/reconcile-period": "soon",
        "ansible.sdk.operatorframework.io/verbosity": "very",
    }

    options = options_of({"metadata": {"annotations": annotations}}, WATCH, period_s=60, verbosity=2, bounds=BOUNDS)

    assert (options.period_s, options.verbosity) == (60, 2)
    assert [problem.split(":")[0] for problem in options.problems] == [
        "annotation ansible.sdk.operatorframework.io/reconcile-period",
        "annotation ansible.sdk.operatorframework.io/verbosity",
    ]


@pytest.mark.parametrize("name", ["reconcile-period", "verbosity", "max-runner-artifacts"])
def test_an_annotation_of_any_length_is_refused_in_few_words(name):
    annotation = {f"ansible.sdk.operatorframework.io/{name}": "1" * 20_000}

    options = options_of({"metadata": {"annotations": annotation}}, WATCH, period_s=60, verbosity=2, bounds=BOUNDS)

    assert (options.period_s, options.verbosity, options.artifacts) == (60, 2, WATCH.max_runner_artifacts)
    assert [len(problem) < 200 for problem in options.problems] == [True]


@pytest.mark.parametrize(("text", "verbosity"), [("4", 4), ("0", 0), ("8", 2), ("-1", 2), ("x", 2), ("", 2)])
def test_the_verbosity_of_a_kind_comes_from_its_variable(text, verbosity):
    environ = {"ANSIBLE_VERBOSITY_IMMICH_MEDIA_RM3L_ORG": text}

    assert verbosity_for(Kind("media.rm3l.org/v1alpha1", "Immich"), environ, 2) == verbosity


@pytest.mark.parametrize(
    ("environ", "workers"),
    [
        pytest.param({}, 2, id="default"),
        pytest.param({"MAX_CONCURRENT_RECONCILES_IMMICH_MEDIA_RM3L_ORG": "7"}, 7, id="set"),
        pytest.param({"WORKER_IMMICH_MEDIA_RM3L_ORG": "5"}, 5, id="former-name"),
        pytest.param({"MAX_CONCURRENT_RECONCILES_IMMICH_MEDIA_RM3L_ORG": "0"}, 2, id="zero"),
        pytest.param({"MAX_CONCURRENT_RECONCILES_IMMICH_MEDIA_RM3L_ORG": "many"}, 2, id="no-number"),
        pytest.param({"MAX_CONCURRENT_RECONCILES_WIDGET_MEDIA_RM3L_ORG": "7"}, 2, id="of-another-kind"),
    ],
)
def test_the_workers_of_a_kind_come_from_its_variable(environ, workers):
    assert workers_for(Kind("media.rm3l.org/v1alpha1", "Immich"), environ, 2) == workers
