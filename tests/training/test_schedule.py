# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from medsetu.training.schedule import warmup_cosine


@given(total=st.integers(1, 500), warmup=st.floats(0, 1))
def test_rises_then_falls_and_stays_within_bounds(total: int, warmup: float) -> None:
    values = [warmup_cosine(step, total=total, warmup=warmup) for step in range(total)]
    assert all(0 < value <= 1 for value in values)
    top = values.index(max(values))
    assert values[: top + 1] == sorted(values[: top + 1])
    assert values[top:] == sorted(values[top:], reverse=True)


def test_without_warmup_the_first_step_is_the_peak() -> None:
    assert warmup_cosine(0, total=10, warmup=0.0) == 1.0
