"""What is kept in memory stays within its bound, and is what was used last."""

from providers.recent import Recent


def test_what_was_used_least_lately_makes_room() -> None:
    recent: Recent[str, str] = Recent(3)
    for key in "abc":
        recent.keep(key, key.upper())
    assert recent.get("a") == "A"
    recent.keep("d", "D")
    assert [recent.get(key) for key in "abcd"] == ["A", None, "C", "D"]


def test_sizes_count_together() -> None:
    recent: Recent[str, int] = Recent(10)
    recent.keep("small", 1, 4)
    recent.keep("large", 2, 6)
    recent.keep("small", 3, 5)
    assert (recent.get("small"), recent.get("large")) == (3, None)
    recent.keep("other", 4, 5)
    assert (recent.get("small"), recent.get("other")) == (3, 4)


def test_what_is_too_large_alone_pushes_nothing_out() -> None:
    recent: Recent[str, int] = Recent(10)
    recent.keep("small", 1, 10)
    recent.keep("huge", 2, 11)
    assert (recent.get("small"), recent.get("huge")) == (1, None)


def test_after_clearing_there_is_room_again() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.keep("a", 1, 2)
    recent.clear()
    recent.keep("b", 2)
    recent.keep("c", 3)
    assert [recent.get(key) for key in "abc"] == [None, 2, 3]
