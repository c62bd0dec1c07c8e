# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes on this machine, without containers: for the demo, the tests and development."""
