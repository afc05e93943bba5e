# SPDX-License-Identifier: Apache-2.0
"""Which of the pairs whose hashes are near look alike: a sketch in memory leaves few of them, of which the thumbnails are read."""

import numpy as np
from numpy.typing import NDArray

from medsetu.manifest.similarity import COARSE, THUMBNAIL, fine_structure, mirrored, pairwise
from medsetu.manifest.spool import Pictures

WAVES = (10, 14)  # per direction: the 36 and 132 numbers leave one near pair of chest films in 18, and one in 160
SLACK = 0.01  # rounding of numbers of 16 bits can add less to the bound
ROWS = 1 << 15  # pairs at a time, and
FILMS = 1 << 12  # thumbnails at a time: bound the memory

Places = NDArray[np.intp]


def _kept() -> NDArray[np.intp]:
    """Numbers of the fine structure that are kept, those of the slow waves first."""
    down, across = np.meshgrid(np.arange(WAVES[1]), np.arange(WAVES[1]), indexing="ij")
    fine = np.maximum(down, across) >= COARSE
    place = (down * THUMBNAIL + across)[fine]
    return place[np.argsort(np.maximum(down, across)[fine] >= WAVES[0], kind="stable")]


_KEPT = _kept()
_SLOW = WAVES[0] ** 2 - COARSE**2
_TURNED = _KEPT % THUMBNAIL % 2 == 1  # waves across the picture whose sign a mirror image turns


class Sketches:
    """The first numbers of each picture's fine structure, and the length of the rest: 344 bytes a picture.

    Two fine structures correlate at most as their first numbers do, plus the product of the lengths of the rest (Cauchy and Schwarz), so no
    pair that is alike is lost.

    Args:
        pictures: Thumbnails.
        rows: Rows that are compared; places in all other calls count among these.
    """

    def __init__(self, pictures: Pictures, rows: Places) -> None:
        self._pictures, self._rows = pictures, rows
        self._slow = np.empty((len(rows), _SLOW), dtype=np.float32)
        self._quick = np.empty((len(rows), len(_KEPT) - _SLOW), dtype=np.float16)
        self._rest = np.empty((2, len(rows)), dtype=np.float32)
        for start in range(0, len(rows), FILMS):
            part = slice(start, start + FILMS)
            fine = fine_structure(pictures[rows[part]]).astype(np.float32)
            kept = fine[:, _KEPT]
            self._slow[part], self._quick[part] = kept[:, :_SLOW], kept[:, _SLOW:]
            whole = (fine**2).sum(axis=1)
            for number, some in enumerate((kept[:, :_SLOW], kept)):
                self._rest[number, part] = np.sqrt(np.maximum(whole - (some**2).sum(axis=1), 0))

    def alike(self, left: Places, right: Places, *, least: float, mirror: bool, negative: bool) -> tuple[Places, NDArray[np.float64]]:
        """Find the pairs that look alike.

        Args:
            left: (n,) places.
            right: (n,) places.
            least: Smallest correlation of the fine structures.
            mirror: Compare with the mirror image.
            negative: Compare with the negative.

        Returns:
            Which pairs, and their correlations, which are negative for negatives.
        """
        sign = -1 if negative else 1
        sure = [np.empty(0, dtype=np.intp)]
        found = [np.empty(0, dtype=np.float64)]
        for start in range(0, len(left), ROWS):
            one, two = left[start : start + ROWS], right[start : start + ROWS]
            open_ = self._open(one, two, least=least, mirror=mirror, sign=sign)
            value = self._correlation(one[open_], two[open_], mirror=mirror)
            yes = sign * value >= least
            sure.append(start + open_[yes])
            found.append(value[yes])
        return np.concatenate(sure), np.concatenate(found)

    def _open(self, left: Places, right: Places, *, least: float, mirror: bool, sign: int) -> Places:
        """Pairs that may be alike for all that the sketches say."""
        so_far = sign * _product(self._slow[left], self._slow[right], turned=_TURNED[:_SLOW] if mirror else None)
        open_ = np.flatnonzero(so_far + self._rest[0, left] * self._rest[0, right] >= least - SLACK)
        one, two = left[open_], right[open_]
        more = _product(self._quick[one], self._quick[two], turned=_TURNED[_SLOW:] if mirror else None)
        bound = so_far[open_] + sign * more + self._rest[1, one] * self._rest[1, two]
        left_over: Places = open_[bound >= least - SLACK]
        return left_over

    def _correlation(self, left: Places, right: Places, *, mirror: bool) -> NDArray[np.float64]:
        asked, place = np.unique(np.concatenate([left, right]), return_inverse=True)
        fine = fine_structure(self._pictures[self._rows[asked]])
        one = fine[place[: len(left)]]
        return pairwise(mirrored(one) if mirror else one, fine[place[len(left) :]])


def _product(left: NDArray[np.floating], right: NDArray[np.floating], *, turned: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    """Inner products row by row; of mirror images some numbers change their sign."""
    one = left.astype(np.float32)
    if turned is not None:
        one[:, turned] *= -1
    product: NDArray[np.float32] = np.einsum("ij,ij->i", one, right.astype(np.float32))
    return product
