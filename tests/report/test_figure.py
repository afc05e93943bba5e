# SPDX-License-Identifier: Apache-2.0
import xml.etree.ElementTree as ET

import matplotlib as mpl
import pytest

from medsetu.report.figure import colour, panel, style, svg

HOSTILE = '<script>alert(1)</script> & $x_1$ "quoted"'


def drawn(name="one", label=HOSTILE):
    with style():
        figure, axes = panel()
        axes.plot([0, 1], [0, 1], label=label)
        axes.legend()
        return svg(figure, name=name, title=label, description=label)


def test_svg_is_well_formed_and_hostile_text_stays_text():
    root = ET.fromstring(str(drawn()))  # noqa: S314 - our own text
    assert root.find("title").text == HOSTILE
    assert HOSTILE in [node.text for node in root.iter("text")]


def test_svg_holds_no_address_and_no_font_of_its_own():
    text = str(drawn())
    for word in ("http", "xmlns", "DOCTYPE", "font-family", "<style", "metadata"):
        assert word not in text


def test_ids_of_two_figures_never_meet():
    one, two = ({node.get("id") for node in ET.fromstring(str(drawn(name))).iter() if node.get("id")} for name in ("one", "two"))  # noqa: S314
    assert one
    assert not one & two


def test_references_point_to_ids_that_exist():
    text = str(drawn())
    ids = {node.get("id") for node in ET.fromstring(text).iter()}  # noqa: S314
    used = {part.split(")")[0] for part in text.split("url(#")[1:]}
    assert used
    assert used <= ids


def test_same_figure_gives_the_same_bytes_under_any_matplotlibrc():
    plain = drawn()
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.grid": False}):
        assert drawn() == plain


def test_style_leaves_the_settings_as_they_were():
    before = mpl.rcParams["font.size"]
    with style():
        assert mpl.rcParams["svg.fonttype"] == "none"
    assert mpl.rcParams["font.size"] == before


@pytest.mark.parametrize("arm", ["global-only", "local-only", "transfer", "another", "a third"])
def test_arms_keep_their_colours_apart(arm):
    arms = ["global-only", "local-only", "transfer", "another", "a third"]
    assert [colour(name, arms) for name in arms].count(colour(arm, arms)) == 1
