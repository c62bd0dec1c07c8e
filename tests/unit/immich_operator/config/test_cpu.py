# SPDX-License-Identifier: Apache-2.0
"""How many processors there are."""

import pytest

from immich_operator.config.cpu import usable_cpus


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        pytest.param({"cpu.max": "50000 100000"}, 1, id="half-a-processor"),
        pytest.param({"cpu.max": "max 100000"}, None, id="no-limit"),
        pytest.param({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1, id="version-1"),
        pytest.param({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None, id="version-1-no-limit"),
        pytest.param({}, None, id="no-cgroup"),
    ],
)
def test_the_cgroup_quota_limits_the_processors(files, limit, tmp_path):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    found = usable_cpus(tmp_path)

    assert found == (limit or usable_cpus(tmp_path / "nothing"))
