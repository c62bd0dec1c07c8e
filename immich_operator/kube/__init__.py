# SPDX-License-Identifier: Apache-2.0
"""The entry to the collection's client, and what only a loop needs to know about Kubernetes."""
