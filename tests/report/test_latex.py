# SPDX-License-Identifier: Apache-2.0
import re

from medsetu.report.contest_table import Sheet
from medsetu.report.latex import escape, latex_table


def test_every_special_letter_is_escaped():
    assert escape(r"50 % of a_b & c #1 $ {x} ~ ^ \ − –") == (
        r"50 \% of a\_b \& c \#1 \$ \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} $-$ --"
    )


def test_a_table_is_booktabs_and_every_row_has_its_fields():
    text = latex_table(
        Sheet("pairs", "A_B, 95 %", ["pair", "difference", "what follows"], [["a − b", "[no interval]", "not & told"]], (0, 2))
    )
    assert r"\begin{tabular}{lrl}" in text
    assert [word in text for word in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption{A\_B, 95 \%}", r"\label{tab:pairs}")] == [
        True
    ] * 5
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    assert body.count(r"\\") == 1
    assert len(re.findall(r"(?<!\\)&", body)) == 2
    assert "{[no interval]}" in body  # or LaTeX would read it as the space after the line break above
    assert text.count(r"\begin") == text.count(r"\end")
