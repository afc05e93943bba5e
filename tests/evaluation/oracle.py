# SPDX-License-Identifier: Apache-2.0
"""Published and measured values that our statistics must reproduce."""

import numpy as np

# DeLong, one AUROC from a 5 x 2 table: pROC 1.19.0.1, tests of auc and var
WFNS_NEG, WFNS_POS = [37, 20, 3, 8, 4], [2, 12, 1, 8, 18]
WFNS_AUC, WFNS_VAR, WFNS_CI95 = 0.823678861788618, 0.00146991470882363, (0.7485349, 0.8988228)
WFNS_PAUC_SPEC_090_100, WFNS_PAUC_SPEC_090_100_MCCLISH, WFNS_PAUC_SPEC_080_090 = 0.0334417344173442, 0.649693339038653, 0.0598373983739837

# Hanley and McNeil 1982, CT ratings
HM82_NORMAL, HM82_ABNORMAL = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
HM82_AUC, HM82_DELONG_SE, HM82_EXPONENTIAL_SE = 0.893171, 0.030724, 0.032487

# DeLong 1988 subset, SAS PROC LOGISTIC example: alb, tp, totscore, popind
DELONG88 = np.array(
    [
        (3.0, 5.8, 10, 0), (3.2, 6.3, 5, 1), (3.9, 6.8, 3, 1), (2.8, 4.8, 6, 0), (3.2, 5.8, 3, 1),
        (0.9, 4.0, 5, 0), (2.5, 5.7, 8, 0), (1.6, 5.6, 5, 1), (3.8, 5.7, 5, 1), (3.7, 6.7, 6, 1),
        (3.2, 5.4, 4, 1), (3.8, 6.6, 6, 1), (4.1, 6.6, 5, 1), (3.6, 5.7, 5, 1), (4.3, 7.0, 4, 1),
        (3.6, 6.7, 4, 0), (2.3, 4.4, 6, 1), (4.2, 7.6, 4, 0), (4.0, 6.6, 6, 0), (3.5, 5.8, 6, 1),
        (3.8, 6.8, 7, 1), (3.0, 4.7, 8, 0), (4.5, 7.4, 5, 1), (3.7, 7.4, 5, 1), (3.1, 6.6, 6, 1),
        (4.1, 8.2, 6, 1), (4.3, 7.0, 5, 1), (4.3, 6.5, 4, 1), (3.2, 5.1, 5, 1), (2.6, 4.7, 6, 1),
        (3.3, 6.8, 6, 0), (1.7, 4.0, 7, 0), (3.7, 6.1, 5, 1), (3.3, 6.3, 7, 1), (4.2, 7.7, 6, 1),
        (3.5, 6.2, 5, 1), (2.9, 5.7, 9, 0), (2.1, 4.8, 7, 1), (2.8, 6.2, 8, 0), (4.0, 7.0, 7, 1),
        (3.3, 5.7, 6, 1), (3.7, 6.9, 5, 1), (3.6, 6.6, 5, 1),
    ]
)  # fmt: skip
DELONG88_AUC_SE = {"alb": (0.736559, 0.092694), "tp": (0.647849, 0.100047), "kg": (0.725806, 0.102822)}
DELONG88_ALB_MINUS_KG = {"diff": 0.010753, "se": 0.095344, "chi2": 0.012719, "p": 0.910206}
DELONG88_TP_MINUS_KG = {"diff": -0.077957, "se": 0.104610, "chi2": 0.555350, "p": 0.456140}
DELONG88_JOINT_2DF = {"chi2": 2.533978, "p": 0.281678}

# Newcombe 1998: (k, n) -> Wilson, Clopper-Pearson
NEWCOMBE = {
    (81, 263): ((0.2553, 0.3662), (0.2527, 0.3676)),
    (15, 148): ((0.0624, 0.1605), (0.0578, 0.1617)),
    (0, 20): ((0, 0.1611), (0, 0.1684)),
    (1, 29): ((0.0061, 0.1718), (0.0009, 0.1776)),
}
WILSON_TPP = {(90, 100): (0.8256, 0.9448), (190, 200): (0.9104, 0.9726)}

# sensitivity 0.9, specificity 0.7
PPV_NPV = {
    0.01: (0.029412, 0.998559),
    0.02: (0.057692, 0.997093),
    0.05: (0.136364, 0.992537),
    0.10: (0.25, 0.984375),
    0.25: (0.5, 0.954545),
}

# dcurves / R: family history, n = 750, 105 events
NB_N, NB_EVENTS, NB_TP, NB_FP = 750, 105, 24, 91
NB_FAMHISTORY = {0.05: 0.0256140351, 0.10: 0.0185185185, 0.15: 0.0105882353, 0.20: 0.0016666667, 0.30: -0.02}
NB_TREAT_ALL = {0.01: 0.1313131313, 0.05: 0.0947368421, 0.20: -0.075}

# torchmetrics 1.9.0 and by hand
BRIER_Y, BRIER_P, BRIER = [0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3], 0.0375
ECE_P, ECE_Y, ECE_NBINS = [0.25, 0.25, 0.55, 0.75, 0.75], [0, 0, 1, 1, 1], 2
ECE = {"l1": 0.29, "l2": 0.291833, "max": 0.316667}
MECE_P = [[0.25, 0.20, 0.55], [0.55, 0.05, 0.40], [0.10, 0.30, 0.60], [0.90, 0.05, 0.05]]
MECE_Y, MECE_NBINS = [0, 1, 2, 0], 3
MECE = {"l1": 0.2, "l2": 0.208167, "max": 0.233333}
EQMASS_P, EQMASS_Y, EQMASS_NBINS, EQMASS_ECE = [0.1, 0.2, 0.3, 0.6, 0.7, 0.9], [0, 0, 1, 0, 1, 1], 3, 0.1333333

# McNemar: statsmodels 0.15.0
MCNEMAR_TABLE = [[101, 121], [59, 33]]
MCNEMAR_CORRECTED, MCNEMAR_UNCORRECTED = (20.672222, 5.450095e-06), (21.355556, 3.815136e-06)
MCNEMAR_EXACT = ([[10, 5], [15, 12]], 0.0413894653)


def ratings(negative: list[int], positive: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of a table of ratings 1, 2, ..."""
    grades = np.arange(1, len(negative) + 1)
    label = np.r_[np.zeros(sum(negative)), np.ones(sum(positive))]
    return label, np.r_[np.repeat(grades, negative), np.repeat(grades, positive)].astype(float)
