# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all tests: `cluster` and `namespace` start nothing until a test asks for them."""

import os
import sysconfig

from hypothesis import HealthCheck, settings

pytest_plugins = ["localcluster.testing", "support.skips"]

# How fast a machine is must not decide whether a property holds.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

# Programs that tests start must find the collection that the tests import, not one in the user's home folder.
os.environ["ANSIBLE_COLLECTIONS_PATH"] = sysconfig.get_path("purelib")
os.environ["ANSIBLE_HOME"] = os.path.join(sysconfig.get_path("data"), "ansible-home")  # noqa: PTH118
