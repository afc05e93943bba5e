# SPDX-License-Identifier: Apache-2.0
"""Which values of a recipe's keys validation prefers, and how much the best of many is flattered; no torch here."""
