# SPDX-License-Identifier: Apache-2.0
"""From a manifest row to a batch: deterministic steps cached once, random ones keyed by (seed, epoch, sample)."""
