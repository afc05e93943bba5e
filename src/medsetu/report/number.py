# SPDX-License-Identifier: Apache-2.0
"""How numbers are written: three decimals, intervals in brackets, a dash for what is unknown, and why."""

import math
import re
from collections.abc import Mapping
from typing import Any

DASH = "–"
MINUS = "−"


def number(value: object, *, digits: int = 3, sign: bool = False) -> str:
    """Write a number; NaN and None become a dash.

    Example:
        >>> number(0.25), number(-0.0312, sign=True), number(float("nan"))
        ('0.250', '−0.031', '–')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return DASH
    text = f"{float(str(value)):{'+' if sign else ''}.{digits}f}"
    zero = f"{0:.{digits}f}"
    return zero if text.lstrip("+-") == zero else text.replace("-", MINUS)


def count(value: object) -> str:
    """Write a count with thin spaces between thousands.

    Example:
        >>> count(112120), count(float("nan"))
        ('112\u202f120', '–')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return DASH
    return f"{int(float(str(value))):,}".replace(",", "\u202f")


def times(value: int) -> str:
    """Write how often.

    Example:
        >>> times(1), times(3)
        ('once', '3 times')
    """
    return "once" if value == 1 else f"{value} times"


def interval(low: object, high: object, *, sign: bool = False) -> str:
    r"""Write an interval that no line break tears apart, or nothing where there is none.

    Example:
        >>> interval(0.7, 0.9), interval(float("nan"), float("nan"))
        ('0.700\xa0to\xa00.900', '')
    """
    ends = [number(end, sign=sign) for end in (low, high)]
    return "" if DASH in ends else f"{ends[0]}\u00a0to\u00a0{ends[1]}"


def power(row: Mapping[Any, Any]) -> str:
    """Write the two powers of a contrast: of showing non-inferiority at the margin, and of finding a difference as large as it.

    Example:
        >>> power({"power_margin": 0.42, "power": 0.3})
        '0.42 / 0.30'
    """
    return f"{number(row['power_margin'], digits=2)} / {number(row['power'], digits=2)}"


def words(name: str) -> str:
    """Write a name of the program as words.

    Example:
        >>> words("pleural_thickening"), words("gain in auroc")
        ('pleural thickening', 'gain in AUROC')
    """
    return name.replace("_", " ").replace("auroc", "AUROC")


def claim(note: str) -> str:
    """Read the claim level out of a note.

    Example:
        >>> claim("claim: this model; by image")
        'this model'
    """
    return next((part.removeprefix("claim: ") for part in note.split("; ") if part.startswith("claim: ")), "")


def remarks(note: object) -> str:
    """Read what a note says besides the claim level.

    Example:
        >>> remarks("claim: this model; by image")
        'by image'
    """
    text = note if isinstance(note, str) else ""
    return "; ".join(part for part in text.split("; ") if part and not part.startswith("claim: "))


_OPERATING = re.compile(
    r"^(?P<measure>[a-z]+)_at_(?P<kind>transported|refitted)_(?P<rule>[a-z]+)(?:_(?P<target>[0-9.]+))?(?:_prevalence_(?P<prevalence>.+))?$"
)
_ROC = re.compile(r"^roc_(?P<measure>[a-z]+)_at_(?P<rule>[a-z]+)_(?P<target>[0-9.]+)$")
_NAMES = {
    "auroc": "AUROC",
    "auprc": "Average precision (AUPRC)",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "observed_expected": "Observed / expected",
    "calibration_intercept": "Calibration intercept",
    "calibration_slope": "Calibration slope",
    "ece_equal_width": "ECE, bins of equal width",
    "ece_equal_mass": "ECE, bins of equal count",
    "ece_equal_width_null": "… of a perfectly calibrated model of this size (equal width)",
    "ece_equal_mass_null": "… of a perfectly calibrated model of this size (equal count)",
}
_MEASURES = {"sensitivity": "Sensitivity", "specificity": "Specificity", "ppv": "PPV", "npv": "NPV", "threshold": "Threshold"}


def metric_name(metric: str) -> str:
    """Write a metric of the results table as a reader knows it.

    Example:
        >>> metric_name("ppv_at_refitted_sensitivity_0.90_prevalence_0.05"), metric_name("roc_sensitivity_at_specificity_0.95")
        ('PPV at prevalence 5 %', 'Sensitivity at specificity 0.95')
    """
    found = _OPERATING.match(metric)
    if found:
        measure = _MEASURES.get(found["measure"], found["measure"])
        return f"{measure} at prevalence {float(found['prevalence']) * 100:g} %" if found["prevalence"] else measure
    found = _ROC.match(metric)
    if found:
        return f"{_MEASURES[found['measure']]} at {found['rule']} {found['target']}"
    if metric.startswith("net_benefit_"):
        return f"Net benefit at {float(metric.removeprefix('net_benefit_')) * 100:g} %"
    if metric.startswith("partial_auroc_fpr_"):
        return f"Partial AUROC (false positives up to {float(metric.removeprefix('partial_auroc_fpr_')) * 100:g} %)"
    return _NAMES.get(metric, words(metric))


def metric_family(metric: str) -> str:
    """Say where a metric of the results table belongs; the three kinds of threshold are never mixed.

    Example:
        >>> metric_family("ppv_at_refitted_sensitivity_0.90")
        'Refitted threshold (chosen on val/local): sensitivity at least 0.90'
    """
    found = _OPERATING.match(metric)
    if found:
        place = (
            "Transported threshold (chosen on val/global)" if found["kind"] == "transported" else "Refitted threshold (chosen on val/local)"
        )
        rule = "largest Youden index" if found["rule"] == "youden" else f"{found['rule']} at least {found['target']}"
        return f"{place}: {rule}"
    if metric.startswith("roc_"):
        return "Read off the test curve (ROC summary, not an operating point)"
    if metric.startswith("net_benefit"):
        return "Net benefit (true positives per sample)"
    return "Discrimination" if metric.startswith(("auroc", "auprc", "partial")) else "Calibration"
