# SPDX-License-Identifier: Apache-2.0
"""p-values of a family: Holm for what is claimed, Benjamini-Hochberg for what is only explored."""

import numpy as np
from numpy.typing import ArrayLike

from medsetu.core.errors import DataError
from medsetu.evaluation.interval import Floats


def holm(p: ArrayLike) -> Floats:
    """Adjust p-values so that the chance of any false claim in the family stays below alpha (Holm, Scand J Stat 1979, 6:65-70).

    Args:
        p: (m,) p-values in [0, 1]; NaN was not tested and does not count.

    Returns:
        (m,) adjusted p-values in [0, 1]; NaN stays NaN.

    Raises:
        DataError: A p-value is outside [0, 1].

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
        [0.03, 0.06, 0.06]
    """
    values, known, order = _ordered(p)
    scaled = values[known][order] * np.arange(order.size, 0, -1)
    return _back(values, known, order=order, adjusted=np.maximum.accumulate(scaled))


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Adjust p-values so that the expected share of false claims stays below alpha (Benjamini and Hochberg, JRSS B 1995, 57:289-300).

    Args:
        p: (m,) p-values in [0, 1]; NaN was not tested and does not count.

    Returns:
        (m,) adjusted p-values in [0, 1]; NaN stays NaN.

    Raises:
        DataError: A p-value is outside [0, 1].

    Example:
        >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
        [0.03, 0.04, 0.04]
    """
    values, known, order = _ordered(p)
    scaled = values[known][order] * order.size / np.arange(1, order.size + 1)
    return _back(values, known, order=order, adjusted=np.minimum.accumulate(scaled[::-1])[::-1])


def _ordered(p: ArrayLike) -> tuple[Floats, np.ndarray, np.ndarray]:
    values = np.atleast_1d(np.asarray(p, dtype=np.float64))
    wrong = int(((values < 0) | (values > 1)).sum())
    if wrong:
        raise DataError(
            what=f"{wrong} p-values are outside [0, 1]", where="Family of tests", remedy="Give probabilities, or NaN for no test"
        )
    known = np.flatnonzero(~np.isnan(values))
    return values, known, np.argsort(values[known], kind="stable")


def _back(values: Floats, known: np.ndarray, *, order: np.ndarray, adjusted: Floats) -> Floats:
    found = np.full_like(values, np.nan)
    found[known[order]] = np.minimum(adjusted, 1.0)
    return found
