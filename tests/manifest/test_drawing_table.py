# SPDX-License-Identifier: Apache-2.0
"""The sentences about drawings: counts, contradictions, and a reason for each drawing that was left out."""

from pathlib import Path

import numpy as np
import pandas as pd

from medsetu.manifest.drawing import Film, Mark, measure
from medsetu.manifest.drawing_table import drawing_sentences, summarise_drawings
from medsetu.manifest.vote import no_votes
from medsetu.reader.drawn import Drawn


def film(name, *boxes, size=(40, 40)):
    marks = tuple(Mark("mass", "", Drawn("box", box)) for box in boxes)
    return Film(f"a/{name}", "a", Path(), *size, marks, {}, "majority")


def test_counts_and_reasons():
    manifest = pd.DataFrame({"sample_id": ["a/1", "a/2", "a/3"], "release": "a", "mass": [1.0, 0.0, 1.0]})
    found = measure([film("1", (0, 0, 9, 9), (-1, 5, 9, 9)), film("2", (0, 0, 5, 5), (90, 90, 99, 99), (4, 4, 4, 9))])
    summary = summarise_drawings(found, manifest, votes=no_votes())
    (row,) = summary.to_dict("records")
    assert (row["boxes"], row["films"], row["present"], row["present_drawn"], row["absent_drawn"]) == (3, 2, 2, 1, 1)
    assert (row["cut"], row["left_out"]) == (1, 2)
    assert np.isnan(row["unseen_drawn"])
    said = drawing_sentences(summary, found.problems, manifest)
    assert said[0] == "a: 3 boxes of 1 findings; 1 films drawn on though labelled absent; 1 cut at the border of the image"
    assert said[1:] == [
        "a: 1 drawings left out: The drawing reader expected a box and found no area",
        "a: 1 drawings left out: The drawing reader expected a box on the image and found outside the image",
    ]


def test_a_structure_is_no_label_and_all_may_be_left_out():
    manifest = pd.DataFrame({"sample_id": ["a/1"], "release": "a", "tuberculosis": [1.0]})
    found = measure([film("1", (90, 90, 99, 99))])
    (row,) = summarise_drawings(found, manifest, votes=no_votes()).to_dict("records")
    assert (row["boxes"], row["left_out"]) == (0, 1)
    assert np.isnan(row["present"])
    assert drawing_sentences(pd.DataFrame([row]), found.problems, manifest)[0].startswith("a: no drawings of 1 findings")
