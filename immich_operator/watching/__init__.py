# SPDX-License-Identifier: Apache-2.0
"""What the cluster reports: lists and watches, what is known from them, and which resource a change concerns."""
