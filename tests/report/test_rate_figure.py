# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pandas as pd
import pytest

from medsetu.report.rate_figure import rate_panel

CURVE = pd.DataFrame({"rate": np.geomspace(1e-5, 1, 20), "loss": np.linspace(1, 0.5, 20), "smoothed": np.linspace(1, 0.6, 20)})


@pytest.mark.parametrize(("suggested", "said"), [(0.00123, "suggested 0.0012"), (float("nan"), "suggested none")])
def test_the_curve_says_what_it_suggests(suggested, said):
    picture = str(rate_panel(CURVE, suggested=suggested, now=0.0005, name="rate"))
    assert picture.startswith("<svg")
    assert said in picture
    assert "recipe 0.0005" in picture
