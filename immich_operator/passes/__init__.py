# SPDX-License-Identifier: Apache-2.0
"""One pass after the other: the queue, who decides whether one is run, and what becomes of it."""
