# SPDX-License-Identifier: Apache-2.0
"""Running everything that must hold before a change lands: stages side by side, and what came out of them."""
