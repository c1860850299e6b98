"""The measuring: what is asked of whom, in which order, and what the figures say."""

from __future__ import annotations

import pytest

from llamachat.bench.rounds import Rounds, Wish
from llamachat.errors import UsageError
from tests.bench.steady import SteadyEngine, SteadyRaw


def rounds_of(engine: SteadyEngine, wish: Wish, steps: list[str] | None = None) -> Rounds:
    return Rounds(engine, wish, lambda event: None, (steps if steps is not None else []).append)


def test_ratios_are_speeds_and_what_was_read_before_is_not_read_again():
    engine = SteadyEngine(read=0.001, write=0.01)
    rounds = rounds_of(engine, Wish())
    rounds.run(SteadyRaw(engine.calls, read=0.0005, write=0.02))
    points = rounds.results.points()
    assert [point.depth for point in points] == [0, 512, 2048, 3328]
    for point in points:
        assert point.n_rounds == 5
        assert point.depth <= point.n_reused <= point.depth + 8
        assert point.prefill.ours == pytest.approx(1000)
        assert point.prefill.ratio == pytest.approx(0.5)
        assert point.decode.ours == pytest.approx(100)
        assert point.decode.ratio == pytest.approx(2)
        assert point.first_token.ours == pytest.approx(point.n_question / 1000)
        assert point.first_token.ratio == pytest.approx(0.5)
        assert point.n_question < 64
        assert point.n_read > 500
    assert rounds.skipped == ()


def test_both_take_turns_at_going_first():
    engine = SteadyEngine()
    rounds = rounds_of(engine, Wish(depths=(0,)))
    engine.calls.clear()
    rounds.run(SteadyRaw(engine.calls))
    pairs = [tuple(engine.calls[place : place + 2]) for place in range(0, len(engine.calls), 2)]
    assert set(pairs) == {("ours", "raw"), ("raw", "ours")}
    answers, reads = pairs[1::2], pairs[2::2]
    for each in (answers, reads):
        assert abs(each.count(("raw", "ours")) - each.count(("ours", "raw"))) <= 1


def test_every_prompt_is_another():
    engine = SteadyEngine()
    rounds = rounds_of(engine, Wish(depths=(512,)))
    rounds.run(SteadyRaw(engine.calls))
    prompts = [each.tokens for each in rounds.results.measurements]
    assert len(set(prompts)) == len(prompts) > 10


def test_a_slow_machine_reads_less_and_leaves_out_what_takes_too_long():
    engine = SteadyEngine(read=0.03, write=0.2)
    rounds = rounds_of(engine, Wish(seconds=120))
    assert (rounds.sizes.n_read, rounds.sizes.n_write, rounds.sizes.n_rounds) == (128, 16, 3)
    rounds.run(SteadyRaw(engine.calls))
    points = rounds.results.points()
    assert [point.depth for point in points] == [0, 512]
    assert rounds.skipped == (2048, 3584)


def test_when_time_is_up_one_round_is_whole():
    engine = SteadyEngine()
    rounds = rounds_of(engine, Wish(seconds=0))
    rounds.run(SteadyRaw(engine.calls))
    (point,) = rounds.results.points()
    assert (point.depth, point.n_rounds) == (0, 1)
    assert rounds.skipped == (512, 2048, 3328)


def test_a_depth_that_was_named_is_measured_however_long_it_takes():
    engine = SteadyEngine(read=0.03, write=0.2)
    rounds = rounds_of(engine, Wish(depths=(100, 3000), seconds=0))
    rounds.run(SteadyRaw(engine.calls))
    assert [(point.depth, point.n_rounds) for point in rounds.results.points()] == [(100, 3), (3000, 3)]


def test_a_depth_without_room_is_refused_with_the_deepest_that_has_it():
    with pytest.raises(UsageError) as caught:
        rounds_of(SteadyEngine(), Wish(depths=(4000,)))
    assert "4000" in caught.value.message
    assert "--depth 3328" in caught.value.hint


def test_one_after_the_other_measures_the_same():
    engine = SteadyEngine()
    rounds = rounds_of(engine, Wish(depths=(512,)))
    rounds.run(None)
    assert rounds.results.points() == []
    assert "raw" not in engine.calls
    rounds.catch_up(SteadyRaw(engine.calls, read=0.001))
    (point,) = rounds.results.points()
    assert point.n_rounds == 5
    assert point.prefill.ratio == pytest.approx(1)
    assert point.decode.ratio == pytest.approx(1)


def test_an_interrupted_run_keeps_the_pairs_that_are_whole():
    engine = SteadyEngine()

    class Interrupted(SteadyRaw):
        def measure(self, tokens, n_write):
            if engine.calls.count("raw") == 6:
                raise KeyboardInterrupt
            return super().measure(tokens, n_write)

    rounds = rounds_of(engine, Wish())
    with pytest.raises(KeyboardInterrupt):
        rounds.run(Interrupted(engine.calls))
    (point,) = rounds.results.points()
    assert (point.depth, point.n_rounds) == (0, 3)


def test_a_context_of_256_tokens_is_enough():
    engine = SteadyEngine(n_ctx=256)
    rounds = rounds_of(engine, Wish())
    rounds.run(SteadyRaw(engine.calls))
    assert [point.depth for point in rounds.results.points()] == [0]
    assert max(len(each.tokens) + each.n_write for each in rounds.results.measurements) <= 256
