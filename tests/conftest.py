# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all tests: `cluster` and `namespace` start nothing until a test asks for them."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["localcluster.testing"]

# How fast a machine is must not decide whether a property holds.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")
