# SPDX-License-Identifier: Apache-2.0
"""Tables for a paper: LaTeX with booktabs, every special character escaped."""

from medsetu.report.contest_table import Sheet

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "−": "$-$",
    "–": "--",
    "\u202f": r"\,",
    "\u00a0": "~",
    "…": r"\dots{}",
}


def escape(text: str) -> str:
    r"""Write text so that LaTeX shows it as it is.

    Example:
        >>> print(escape("transfer:lp_ft & 5 %"))
        transfer:lp\_ft \& 5 \%
    """
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def latex_table(sheet: Sheet) -> str:
    """Write a sheet as a table that needs the package booktabs and nothing else.

    Args:
        sheet: What to write.

    Returns:
        The source, with caption and the label ``tab:<name>``.
    """
    places = "".join("l" if place in sheet.left else "r" for place in range(len(sheet.columns)))
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(sheet.caption)}}}",
        rf"\label{{tab:{sheet.name}}}",
        rf"\begin{{tabular}}{{{places}}}",
        r"\toprule",
        " & ".join(map(escape, sheet.columns)) + r" \\",
        r"\midrule",
        *(" & ".join(map(_field, row)) + r" \\" for row in sheet.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _field(text: str) -> str:
    """A field that begins with a bracket would be read as an argument of the line break before it."""
    return f"{{{escape(text)}}}" if text.startswith(("[", "*")) else escape(text)
