"""The circuit breaker: when it opens, whom it lets through, and what closes it."""

from domain.breaker import Breaker, Call

LONG = 3600.0


def call(breaker: Breaker) -> Call:
    admitted = breaker.admit()
    assert admitted is not None
    return admitted


def opened(pause: float) -> Breaker:
    breaker = Breaker(1, pause)
    assert call(breaker).failed()
    return breaker


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    breaker = Breaker(3, LONG)
    for _ in range(2):
        assert not call(breaker).failed()
    assert not call(breaker).answered()
    assert [call(breaker).failed() for _ in range(3)] == [False, False, True]
    assert breaker.open
    assert breaker.admit() is None
    assert LONG - 60 < breaker.remaining <= LONG


def test_one_probe_at_a_time_is_let_through_after_the_pause() -> None:
    breaker = opened(pause=0)
    probe = call(breaker)
    assert (breaker.admit(), breaker.admits) == (None, False)
    assert probe.answered()
    assert (breaker.open, breaker.admits) == (False, True)


def test_a_probe_that_fails_begins_another_pause() -> None:
    breaker = opened(pause=0)
    probe = call(breaker)
    breaker.pause = LONG
    assert probe.failed()
    assert breaker.admit() is None


def test_a_probe_that_is_given_up_makes_room_for_another() -> None:
    breaker = opened(pause=0)
    call(breaker).left()
    assert breaker.open
    assert breaker.admit() is not None


def test_failures_of_calls_from_before_it_opened_prolong_nothing() -> None:
    breaker = Breaker(1, 0)
    early, late = call(breaker), call(breaker)
    assert early.failed()
    breaker.pause = LONG
    assert not late.failed()
    assert breaker.admits


def test_an_answer_to_a_call_from_before_it_opened_closes_it() -> None:
    breaker = Breaker(1, LONG)
    early, late = call(breaker), call(breaker)
    assert early.failed()
    assert late.answered()
    assert breaker.admits
