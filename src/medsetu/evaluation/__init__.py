# SPDX-License-Identifier: Apache-2.0
"""Predictions to results: metrics with intervals that hold for small sets of patients. numpy and scipy only."""
