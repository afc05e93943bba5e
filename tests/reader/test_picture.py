# SPDX-License-Identifier: Apache-2.0
"""Size limits and declared scale."""

import numpy as np
import pytest

from medsetu.reader.guard import Unreadable
from medsetu.reader.picture import MAX_PIXELS, check_size, to_unit


@pytest.mark.parametrize(("height", "width"), [(0, 5), (5, 0), (-1, 5), (MAX_PIXELS, 2)])
def test_impossible_sizes_are_refused(height: int, width: int) -> None:
    with pytest.raises(Unreadable):
        check_size(height, width)


def test_the_largest_size_passes() -> None:
    check_size(1, MAX_PIXELS)


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535), (">u2", 4095)])
def test_scale_is_exact_at_both_ends_and_contiguous(dtype: str, top: int) -> None:
    stored = np.array([[0, top], [top // 3, 1]], dtype).T
    grey = to_unit(stored, top)
    assert grey.dtype == np.float32
    assert grey.flags.c_contiguous
    assert grey[0, 0] == 0
    assert grey[1, 0] == 1
    np.testing.assert_allclose(grey, stored / top, rtol=1e-6)
