# SPDX-License-Identifier: Apache-2.0
"""Stands in for Immich where its images are not at hand: what a cluster can see of it, and no photo management.

It keeps to what Immich 3.1 does with its environment, its configuration file, its folders, its database and its queues,
and it says of itself that it is a stand-in.
"""
