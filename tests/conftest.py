# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all tests: `cluster` and `namespace` start nothing until a test asks for them."""

pytest_plugins = ["localcluster.testing"]
