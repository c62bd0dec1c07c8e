# SPDX-License-Identifier: Apache-2.0
"""The door to the collection's client, and what only a loop needs to know of Kubernetes."""
