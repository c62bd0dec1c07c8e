# SPDX-License-Identifier: Apache-2.0
"""Everything here talks to a real API server; `cluster` and `namespace` come from localcluster.testing."""
