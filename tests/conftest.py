# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all tests: `cluster` and `namespace` start nothing until a test asks for them."""

import os
import sysconfig
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["localcluster.testing", "support.skips"]

# How fast a machine is must not decide whether a property holds.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

HERE = Path(__file__).parent
UNIT = HERE / "unit"
ON_EVERY_CORE = (
    UNIT / "immich_operator" / "engine",
    UNIT / "immich_operator" / "passes",
    UNIT / "plugin_utils" / "passes" / "test_faults.py",
    UNIT / "plugin_utils" / "passes" / "test_passes.py",
    UNIT / "plugin_utils" / "passes" / "test_removal.py",
    HERE / "integration" / "engine",
)

ON_EVERY_PYTHON = (UNIT / "immich_operator", UNIT / "packaging", UNIT / "plugin_utils" / "kube")
"""What has to do with processes, files, connections and metadata of packages; the other units are values in, values out."""

ON_EVERY_CLIENT = (
    UNIT / "plugin_utils" / "kube" / "test_transport.py",
    HERE / "integration" / "collection_io" / "test_connection.py",
)
"""What makes connections with the package `kubernetes`; nothing else uses it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of these folders and files may depend on the release of ansible-core; elsewhere those that say so do.

    The other unit tests import nothing of Ansible.
    """
    for item in items:
        is_long = item.get_closest_marker("endurance") is not None
        if any(item.path.is_relative_to(folder) for folder in ON_EVERY_CORE) and not is_long:
            item.add_marker("every_core")
        if item.path in ON_EVERY_CLIENT:
            item.add_marker("every_client")
        if any(item.path.is_relative_to(folder) for folder in ON_EVERY_PYTHON):
            item.add_marker("every_python")


# Programs that tests start must find the collection that the tests import, not one in the user's home folder.
os.environ["ANSIBLE_COLLECTIONS_PATH"] = sysconfig.get_path("purelib")
os.environ["ANSIBLE_HOME"] = os.path.join(sysconfig.get_path("data"), "ansible-home")  # noqa: PTH118
