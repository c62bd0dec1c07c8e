# SPDX-License-Identifier: Apache-2.0
"""What annotations and variables set for the passes of one resource, or of one kind."""

import time
from pathlib import Path

import pytest

from immich_operator.config.options import options_of, verbosity_for, workers_for
from immich_operator.config.watches import Watch
from immich_operator.kube.resources import Kind

WATCH = Watch(kind=Kind("example.org/v1", "Widget"), role=Path("/roles/widget"))


def test_annotations_go_before_everything_else():
    annotations = {
        "ansible.sdk.operatorframework.io/reconcile-period": "5m",
        "ansible.sdk.operatorframework.io/verbosity": "4",
        "ansible.sdk.operatorframework.io/max-runner-artifacts": "0",
    }

    options = options_of({"metadata": {"annotations": annotations}}, WATCH, period_s=60, verbosity=2)

    assert (options.period_s, options.verbosity, options.artifacts, options.problems) == (300, 4, 0, ())


def test_an_annotation_that_cannot_be_read_is_named_and_ignored():
    annotations = {
        "ansible.sdk.operatorframework.io/reconcile-period": "soon",
        "ansible.sdk.operatorframework.io/verbosity": "very",
    }

    options = options_of({"metadata": {"annotations": annotations}}, WATCH, period_s=60, verbosity=2)

    assert (options.period_s, options.verbosity) == (60, 2)
    assert [problem.split(":")[0] for problem in options.problems] == [
        "annotation ansible.sdk.operatorframework.io/reconcile-period",
        "annotation ansible.sdk.operatorframework.io/verbosity",
    ]


@pytest.mark.parametrize("name", ["reconcile-period", "verbosity", "max-runner-artifacts"])
def test_an_annotation_of_any_length_is_refused_at_once_and_in_few_words(name):
    annotation = {f"ansible.sdk.operatorframework.io/{name}": "1" * 20_000}
    started = time.process_time()

    options = options_of({"metadata": {"annotations": annotation}}, WATCH, period_s=60, verbosity=2)

    assert time.process_time() - started < 0.1
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
