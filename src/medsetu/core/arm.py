# SPDX-License-Identifier: Apache-2.0
"""Arms of a study, and their variants: ``transfer:lora`` is one way of doing ``transfer``."""

GLOBAL_ONLY = "global-only"
LOCAL_ONLY = "local-only"
TRANSFER = "transfer"
ARMS = (GLOBAL_ONLY, LOCAL_ONLY, TRANSFER)
VARIANT = ":"  # between an arm and the name of its variant


def base_arm(arm: str) -> str:
    """Say which arm a variant is a variant of.

    Args:
        arm: Name of an arm, with or without a variant.

    Returns:
        The arm itself, whose rules about labels and starting weights its variants share.

    Example:
        >>> base_arm("transfer:lora"), base_arm("local-only")
        ('transfer', 'local-only')
    """
    return arm.partition(VARIANT)[0]


def arm_order(arm: str) -> tuple[int, str]:
    """Sort key: the three arms in their order, each followed by its variants, strangers last.

    Example:
        >>> sorted(["transfer:lora", "peer", "transfer", "local-only"], key=arm_order)
        ['local-only', 'transfer', 'transfer:lora', 'peer']
    """
    base = base_arm(arm)
    return (ARMS.index(base) if base in ARMS else len(ARMS), arm)
