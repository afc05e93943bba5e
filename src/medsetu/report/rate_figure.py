# SPDX-License-Identifier: Apache-2.0
"""The curve of a learning-rate range test."""

import math

import pandas as pd
from markupsafe import Markup

from medsetu.report.figure import panel, style, svg


def rate_panel(curve: pd.DataFrame, *, suggested: float, now: float, name: str) -> Markup:
    """Draw the training loss against the learning rate.

    Args:
        curve: One row per update: ``rate``, ``loss``, ``smoothed``.
        suggested: Rate that is suggested; NaN for none.
        now: Rate of the recipe.
        name: Name of the figure.

    Returns:
        Inline SVG.
    """
    with style():
        figure, axes = panel(4.5, 3.3)
        axes.plot(curve["rate"], curve["loss"], alpha=0.3, linewidth=1.0)
        axes.plot(curve["rate"], curve["smoothed"], linewidth=1.6, color="C0", label="smoothed loss")
        axes.axvline(now, color="0.5", linestyle=":", linewidth=1.2, label=f"recipe {now:g}")
        if not math.isnan(suggested):
            axes.axvline(suggested, color="C1", linewidth=1.2, label=f"suggested {suggested:.2g}")
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("training loss after the update")
        axes.legend(loc="best")
        told = f"recipe {now:g}; suggested {'none' if math.isnan(suggested) else f'{suggested:.2g}'}; {len(curve)} updates"
        return svg(figure, name=name, title="Learning-rate range test", description=told)
