# SPDX-License-Identifier: Apache-2.0
import io

from rich.console import Console

from medsetu.report.search_table import MOST, search_table
from medsetu.search.trial import FAILED, FINISHED, GIVEN_UP, Trial


def shown(trials, monitor):
    out = io.StringIO()
    Console(file=out, width=100).print(search_table(trials, best=0, monitor=monitor))
    return out.getvalue()


def test_best_first_and_those_that_did_not_finish_last():
    nan = float("nan")
    trials = [Trial(0, FAILED, nan, {"stages.f.lr": 0.1}), Trial(1, GIVEN_UP, 0.1, {"stages.f.lr": 0.2}, facts={"epochs": 2})]
    trials += [Trial(number, FINISHED, value, {"stages.f.lr": 0.3}) for number, value in ((2, 0.7), (3, 0.6))]
    for monitor, order in (("val/local/loss", "3210"), ("val/local/auroc", "2310")):
        lines = [line.split() for line in shown(trials, monitor).splitlines()]
        assert [line[0] for line in lines if line and line[0].isdigit()] == list(order)
    assert "f.lr" in shown(trials, "val/local/loss")


def test_a_long_search_is_cut():
    text = shown([Trial(number, FINISHED, float(number), {"a": 1}) for number in range(MOST + 4)], "val/local/loss")
    assert "(4 more on disk)" in text
