# SPDX-License-Identifier: Apache-2.0
"""Subcommands that need more than the loop does; each is imported when it is called."""
