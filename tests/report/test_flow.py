# SPDX-License-Identifier: Apache-2.0
import re

import pandas as pd

from fakes.report import flow, splits
from medsetu.report.flow import MOST_REASONS, flow_panels


def texts(drawing):
    return re.findall(r"<text[^>]*>([^<]*)</text>", drawing)


def test_each_side_shows_who_was_eligible_left_and_stayed():
    (first, world), (second, delhi) = flow_panels(flow(), splits())
    assert (first, second) == ("global side: tb_chest_radiography_database", "local side: nitrd")
    told = texts(world)
    assert told[0] == "4\u202f200 eligible"
    assert {"12 excluded", "3 quarantined", "4\u202f185 analysed"} <= set(told)
    assert "12: near duplicate of another image" in re.sub(" +", " ", " ".join(told))
    assert "train 2\u202f720, test 840" in " ".join(told)
    assert texts(delhi) == ["104 eligible", "104 analysed", "crossfit 104"]


def test_the_words_stand_in_the_description_too():
    ((_, drawing), _) = flow_panels(flow(), splits())
    assert "3 quarantined 3: the file ends early" in drawing


def test_the_numbers_add_up_over_releases():
    table = flow()
    both = pd.concat([table, table[table["domain"] == "local"].assign(release="other")], ignore_index=True)
    caption, drawing = flow_panels(both, pd.DataFrame())[1]
    assert caption == "local side: nitrd, other"
    assert texts(drawing) == ["208 eligible", "208 analysed"]


def test_many_reasons_are_summed_up():
    rows = [("local", "a", "eligible", "", 78), ("local", "a", "analysed", "", 0)]
    rows += [("local", "a", "excluded", f"reason {n}", n) for n in range(1, 13)]
    ((_, drawing),) = flow_panels(pd.DataFrame(rows, columns=["domain", "release", "step", "reason", "samples"]), pd.DataFrame())
    assert f"10: {12 - MOST_REASONS} more reasons" in drawing


def test_a_hostile_reason_is_escaped():
    rows = [("local", "a", "eligible", "", 1), ("local", "a", "excluded", "<script>x", 1)]
    ((_, drawing),) = flow_panels(pd.DataFrame(rows, columns=["domain", "release", "step", "reason", "samples"]), pd.DataFrame())
    assert "<script" not in drawing


def test_no_flow_no_figure():
    assert flow_panels(pd.DataFrame(), pd.DataFrame()) == []
