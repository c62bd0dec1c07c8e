# SPDX-License-Identifier: Apache-2.0
"""A fault where Secrets are handled is told by type and place; its text may quote one."""

import json

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.media.immich.plugins.filter.plan import plan
from ansible_collections.media.immich.plugins.filter.removal import removal
from ansible_collections.media.immich.plugins.filter.report import report
from ansible_collections.media.immich.plugins.plugin_utils.faults import without_text
from ansible_collections.media.immich.plugins.plugin_utils.passes import planning, status
from ansible_collections.media.immich.plugins.plugin_utils.passes import removal as removing

PASSWORD = "hunter2-hunter2"
SEEN = json.dumps({"given": {"kind": "Immich", "metadata": {"name": "photos"}}})
DONE = json.dumps({"plan": {}})


def crash(*_args, **_more):
    raise ValueError(f"{PASSWORD} is none") from KeyError(PASSWORD)


@pytest.mark.parametrize(
    ("module", "function", "call"),
    [
        pytest.param(planning, "plan", lambda: plan(SEEN), id="plan"),
        pytest.param(removing, "removal", lambda: removal(SEEN), id="removal"),
        pytest.param(status, "report", lambda: report(DONE, SEEN), id="report"),
    ],
)
def test_a_fault_in_a_filter_is_told_without_its_text(monkeypatch, module, function, call):
    monkeypatch.setattr(module, function, crash)

    with pytest.raises(AnsibleFilterError) as caught:
        call()

    assert f"media.immich.{function}: ValueError in test_faults.py, line " in str(caught.value)
    assert PASSWORD not in f"{caught.value!s} {caught.value!r}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_what_is_meant_for_the_user_is_told_as_it_is():
    with pytest.raises(AnsibleFilterError, match="give the whole text"), without_text("x", AnsibleFilterError):
        raise AnsibleFilterError("give the whole text")
