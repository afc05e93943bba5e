# SPDX-License-Identifier: Apache-2.0
import pandas as pd
import pytest

from medsetu.manifest.prepared import fingerprint, removed, stack

MANIFEST = pd.DataFrame(
    {
        "sample_id": ["a", "b"],
        "sha256": ["0", "1"],
        "domain": "local",
        "group_id": ["p", "q"],
        "edema": [1.0, float("nan")],
        "mass": [0.0, 1.0],
        "sex": ["F", "M"],
    }
)
SPLITS = pd.DataFrame({"sample_id": ["a", "b"], "repeat": 0, "fold": [0, 1], "split": ["train", "test"]})


def test_order_does_not_matter():
    turned = MANIFEST.iloc[::-1][["mass", *[name for name in MANIFEST if name != "mass"]]]
    assert fingerprint(MANIFEST, SPLITS) == fingerprint(turned, SPLITS.iloc[::-1])


@pytest.mark.parametrize("column", ["sha256", "domain", "group_id", "edema", "mass"])
def test_content_matters(column):
    changed = MANIFEST.copy()
    changed.loc[1, column] = 0.0 if column in ("edema", "mass") else "other"
    assert fingerprint(MANIFEST, SPLITS) != fingerprint(changed, SPLITS)


@pytest.mark.parametrize(("column", "value"), [("repeat", 1), ("fold", 2), ("split", "val")])
def test_splits_matter(column, value):
    changed = SPLITS.copy()
    changed.loc[0, column] = value
    assert fingerprint(MANIFEST, SPLITS) != fingerprint(MANIFEST, changed)


def test_unknown_is_not_absent():
    assert fingerprint(MANIFEST, SPLITS) != fingerprint(MANIFEST.fillna({"edema": 0.0}), SPLITS)


def test_lists_of_removed_samples_join():
    rows = pd.DataFrame({"sample_id": ["a/1", "a/2"], "release": "a", "domain": "local"})
    both = stack([removed(rows.iloc[:1], "first"), removed(rows.iloc[1:], "second")])
    assert both["reason"].tolist() == ["first", "second"]
    assert stack([]).empty
