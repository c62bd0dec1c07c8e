# SPDX-License-Identifier: Apache-2.0
"""What the API server says to custom resources: the answers of the offline checks, from the CRD alone."""

from __future__ import annotations

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec import crd
from localcluster.errors import ApiError
from localcluster.testing import Cluster
from tests.integration.admission.api import create, field_messages
from tests.unit.plugin_utils.spec.admission_case import Case, custom_resource
from tests.unit.plugin_utils.spec.admission_table import CASES


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES if not case.refusals])
def test_what_can_work_is_accepted_and_gets_the_defaults_of_the_offline_completion(
    immiches: Cluster, case: Case
) -> None:
    cr = custom_resource(case)

    stored = create(immiches, cr)

    offline, _ = crd.complete(cr)
    assert stored["spec"] == offline["spec"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES if case.refusals])
def test_what_cannot_work_is_refused_with_a_message_for_each_field(immiches: Cluster, case: Case) -> None:
    with pytest.raises(ApiError) as refusal:
        create(immiches, custom_resource(case))

    messages = field_messages(refusal.value)
    assert sorted(messages) == sorted(expected.path for expected in case.refusals)
    for expected in case.refusals:
        assert expected.text in messages[expected.path]
