# SPDX-License-Identifier: Apache-2.0
"""Repairs: meeting the local set with few labels or none. Scores and tables are numpy only; network and alignment use torch."""
