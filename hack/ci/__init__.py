# SPDX-License-Identifier: Apache-2.0
"""Runs everything that must hold before a change lands: stages in parallel, and their results."""
