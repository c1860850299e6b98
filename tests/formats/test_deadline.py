"""A time limit that ends the work and touches nobody else."""

from __future__ import annotations

import threading
import time

import pytest

from llamachat.formats.deadline import within


def spin(seconds: float) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return "done"


def test_work_in_time_gives_its_result():
    assert within(5, lambda: spin(0.01)) == "done"


def test_an_error_of_the_work_is_the_callers():
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0)


def test_an_endless_loop_ends_and_so_does_its_thread():
    before = threading.active_count()

    with pytest.raises(TimeoutError):
        within(0.05, lambda: spin(60))

    assert threading.active_count() == before


def test_work_that_ends_just_in_time_disturbs_nothing():
    outcomes = set()
    for attempt in range(60):
        try:
            outcomes.add(within(0.005, lambda spare=attempt % 5 - 2: spin(0.005 + spare * 0.0002)))
        except TimeoutError:
            outcomes.add("late")
    spin(0.05)  # where a stray exception would arrive

    assert outcomes <= {"done", "late"}


def test_work_that_swallows_the_interruption_is_left_behind():
    release = threading.Event()

    def stubborn() -> None:
        while not release.is_set():
            try:
                spin(0.2)
            except SystemExit:
                continue

    started = time.monotonic()
    with pytest.raises(TimeoutError):
        within(0.05, stubborn)
    waited = time.monotonic() - started
    release.set()

    assert waited < 10
