# SPDX-License-Identifier: Apache-2.0
"""Variants belong to their arm."""

from medsetu.core.arm import ARMS, arm_order, base_arm


def test_a_variant_belongs_to_its_arm() -> None:
    assert [base_arm(f"{arm}:any:thing") for arm in ARMS] == list(ARMS)
    assert base_arm("peer") == "peer"


def test_variants_follow_their_arm() -> None:
    shuffled = ["transfer:b", "zebra", "global-only", "transfer", "transfer:a", "local-only:probe", "local-only"]
    assert sorted(shuffled, key=arm_order) == [
        "global-only",
        "local-only",
        "local-only:probe",
        "transfer",
        "transfer:a",
        "transfer:b",
        "zebra",
    ]
