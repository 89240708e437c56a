"""Places: counted for each user and each address, refused when there is none, and always given back."""

from contextlib import ExitStack

import pytest

from domain.errors import RateLimited
from domain.places import PlaceLimits, Places

LIMITS = PlaceLimits(streams_per_user=2, streams_per_address=3, sockets_per_address=1)


def test_a_user_has_so_many_streams_wherever_they_come_from() -> None:
    places = Places(LIMITS)
    with places.stream(1, "192.0.2.1"), places.stream(1, "192.0.2.2"):
        with pytest.raises(RateLimited) as refused, places.stream(1, "192.0.2.3"):
            pass
        assert refused.value.details["retry_after"] > 0
        with places.stream(2, "192.0.2.3"):
            pass
    with places.stream(1, "192.0.2.3"):
        pass
    assert places.taken == 0


def test_an_address_has_so_many_streams_whoever_they_are_for() -> None:
    places = Places(LIMITS)
    with ExitStack() as held:
        for user_id in range(3):
            held.enter_context(places.stream(user_id, "2001:db8::1"))
        for same in ("2001:db8::1", "2001:db8::ffff:2"):  # one /64 is one client
            with pytest.raises(RateLimited):
                places.require_stream(9, same)
            with pytest.raises(RateLimited), places.stream(9, same):
                pass
        places.require_stream(9, "2001:db8:0:1::1")
        with places.stream(9, "2001:db8:0:1::1"):
            pass
    assert places.taken == 0


def test_sockets_are_counted_by_address_and_apart_from_streams() -> None:
    places = Places(LIMITS)
    with places.socket("192.0.2.1"):
        with pytest.raises(RateLimited), places.socket("192.0.2.1"):
            pass
        with places.socket("192.0.2.2"), places.stream(1, "192.0.2.1"):
            pass
    assert places.taken == 0


def test_an_address_that_is_not_known_is_nobodys() -> None:
    places = Places(LIMITS)
    with places.socket(""), places.socket(""):
        pass
    with ExitStack() as held:
        for user_id in range(9):
            held.enter_context(places.stream(user_id, ""))
    assert places.taken == 0


def test_a_place_is_given_back_whatever_happens_in_it() -> None:
    places = Places(LIMITS)
    with pytest.raises(ZeroDivisionError), places.stream(1, "192.0.2.1"):
        raise ZeroDivisionError
    with places.stream(1, "a"), places.stream(1, "b"), pytest.raises(RateLimited), places.stream(1, "c"):
        pass  # who is refused has taken nothing of the address either
    assert places.taken == 0
