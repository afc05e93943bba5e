# SPDX-License-Identifier: Apache-2.0
"""One training stage under Lightning: loss, module, selection of weights, exact resume, prediction. Knows batches, never datasets."""
