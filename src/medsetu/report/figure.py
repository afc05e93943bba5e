# SPDX-License-Identifier: Apache-2.0
"""Figures as inline SVG: the same bytes for the same numbers, text as text, a title and a description for those who cannot see them."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, SOFT, GRID = "#1d2733", "#5b6875", "#dde3e8"
COLOURS = {"global-only": "#0b6e8f", "local-only": "#b5541c", "transfer": "#4a3f8f"}  # apart in hue and in lightness
OTHERS = ("#3d7a3a", "#8a2b5b", "#6b6b00")
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "font.size": 9.0,
    "axes.labelsize": 9.0,
    "axes.titlesize": 10.0,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of the report, whatever the reader's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)  # type: ignore[arg-type]  # names known to every supported matplotlib
        yield


def panel(width: float = 3.6, height: float = 3.3) -> tuple[Figure, Axes]:
    """Open one small panel; a page sets several side by side, a phone one below the other.

    Args:
        width: Inches; one inch is 96 CSS pixels.
        height: Inches.

    Returns:
        Figure and axes.
    """
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="none")
    axes = figure.add_subplot(facecolor="none")
    return figure, axes


def colour(arm: str, arms: Sequence[str] = ()) -> str:
    """Colour of an arm, the same in every figure.

    Example:
        >>> colour("transfer")
        '#4a3f8f'
    """
    others = [name for name in arms if name not in COLOURS]
    return COLOURS.get(arm) or OTHERS[others.index(arm) % len(OTHERS) if arm in others else 0]


def svg(figure: Figure, *, name: str, title: str, description: str) -> Markup:
    """Write a figure as an inline SVG element.

    Args:
        figure: The figure, drawn in ``style``.
        name: Name of the figure, unique on its page; all ids start with it.
        title: What it shows.
        description: What can be read off it, for those who do not see it.

    Returns:
        Markup that is safe to place in HTML: all text comes from matplotlib's writer, which escapes it.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]
            buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s(?:xmlns(?::\w+)?|version)="[^"]*"', "", text, count=3)
    text = text.replace("xlink:href=", "href=")
    text = re.sub(r'\sid="([^"]+)"', rf' id="{name}-\1"', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r"font-family: [^;\"]*(?:; )?", "", text)  # the page's own letters
    text = re.sub(r"font: ((?:\w+ )*?[\d.]+px) [^;\"]*", r"font: \1 sans-serif", text)  # as matplotlib 3.9 writes it
    text = _bounded(text)
    head = f'<svg role="img" aria-labelledby="{name}-title {name}-desc"'
    told = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    opening, rest = text.split(">", 1)
    return Markup(opening.replace("<svg", head, 1) + ">" + told + rest.strip())  # noqa: S704 - escaped above and by matplotlib


def _bounded(text: str) -> str:
    """Let the page set the size: keep the view box, and say the natural width in CSS pixels."""
    found = re.search(r'<svg[^>]*?width="([\d.]+)pt"[^>]*>', text)
    width = float(found[1]) * 96 / 72 if found else 360.0
    opening, rest = text.split(">", 1)
    opening = re.sub(r'\s(?:width|height)="[\d.]+pt"', "", opening)
    return f'{opening} style="width:100%;max-width:{width:.0f}px;height:auto">{rest}'
