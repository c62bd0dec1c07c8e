# SPDX-License-Identifier: Apache-2.0
"""Passes, one after another: the queue, the decision whether one is run, and what comes of it."""
