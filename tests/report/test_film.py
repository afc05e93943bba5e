# SPDX-License-Identifier: Apache-2.0
import base64
import io

import numpy as np
import pytest
from PIL import Image

from fakes.report import film, predictions
from medsetu.report.content import Example
from medsetu.report.film import SIDE_PIXELS, alternative, choose_films, picture


@pytest.fixture(scope="module")
def table():
    return predictions()


def test_films_are_chosen_by_protocol_and_seed(table):
    first, protocol = choose_films(table, finding="tuberculosis", arm="transfer", most=3)
    again, _ = choose_films(table.sample(frac=1, random_state=1), finding="tuberculosis", arm="transfer", most=3)
    other, _ = choose_films(table, finding="tuberculosis", arm="transfer", most=3, seed=1)
    assert first == again
    assert first != other
    assert "sensitivity 0.9" in protocol


def test_why_agrees_with_label_and_score(table):
    choices, _ = choose_films(table, finding="tuberculosis", arm="local-only", most=5)
    for choice in choices:
        called = choice.score >= float(choice.why.rsplit(" ", 1)[1]) - 5e-4
        outcome = ("true" if called == bool(choice.label) else "false") + (" positive" if called else " negative")
        assert choice.why.startswith(outcome)
    assert choices[0].why.startswith("false negative")


def test_threshold_of_each_fold_is_its_own(table):
    choices, _ = choose_films(table, finding="tuberculosis", arm="transfer", most=10)
    assert len({choice.why.rsplit(" ", 1)[1] for choice in choices}) > 1


def test_arm_without_local_validation_shows_nothing(table):
    assert choose_films(table, finding="tuberculosis", arm="global-only")[0] == []
    assert choose_films(table, finding="absent", arm="transfer")[0] == []


def test_picture_is_a_small_grey_png_without_metadata():
    pixels = np.linspace(0, 1, 600 * 400, dtype=np.float32).reshape(600, 400)
    address = picture(Example("a/1.png", pixels, "tuberculosis", 1.0, 0.5, "false negative"))
    image = Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))
    assert image.size == (SIDE_PIXELS * 2 // 3, SIDE_PIXELS) or max(image.size) == SIDE_PIXELS
    assert image.mode == "L"
    assert image.info == {}
    assert np.asarray(image)[0, 0] < 5 < 250 < np.asarray(image)[-1, -1]


def test_words_for_a_picture_hold_no_id():
    words = alternative(Example("ward7/SMITH^JOHN.png", film(0), "pleural_thickening", 0.0, 0.123, "false positive"))
    assert words == "Chest film, pleural thickening absent, score 0.123, false positive"
