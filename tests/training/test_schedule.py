# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from medsetu.training.schedule import phased_cosine, warmup_cosine


@given(total=st.integers(1, 500), warmup=st.floats(0, 1))
def test_rises_then_falls_and_stays_within_bounds(total: int, warmup: float) -> None:
    values = [warmup_cosine(step, total=total, warmup=warmup) for step in range(total)]
    assert all(0 < value <= 1 for value in values)
    top = values.index(max(values))
    assert values[: top + 1] == sorted(values[: top + 1])
    assert values[top:] == sorted(values[top:], reverse=True)


def test_without_warmup_the_first_step_is_the_peak() -> None:
    assert warmup_cosine(0, total=10, warmup=0.0) == 1.0


@given(first=st.integers(1, 50), second=st.integers(1, 50), warmup=st.floats(0, 1))
def test_phases_are_schedules_of_their_own(first: int, second: int, warmup: float) -> None:
    phases = [(first, 1.0), (second, 0.25)]
    got = [phased_cosine(step, phases=phases, warmup=warmup) for step in range(first + second + 1)]
    parts = [[peak * warmup_cosine(step, total=steps, warmup=warmup) for step in range(steps)] for steps, peak in phases]
    assert got == [*parts[0], *parts[1], 0.0]


def test_one_phase_is_the_plain_schedule_to_the_last_bit() -> None:
    plain = [warmup_cosine(step, total=30, warmup=0.1) for step in range(31)]
    assert [phased_cosine(step, phases=[(30, 1.0)], warmup=0.1) for step in range(31)] == plain
