"""The soak: its checker finds each kind of fault, its proxy cuts where it should, and a real one finds nothing.

`make soak` runs longer ones.
"""

import asyncio
import sys
from dataclasses import replace

import pytest

from soak.__main__ import failures, table
from soak.checker import check
from soak.cutter import Cut, Cutter
from soak.observations import Ask, Attachment, Call, Follower, Observed, Seen, StoredTurn
from soak.run import Plan, soak
from tests.databases import BACKENDS

LEASE = 4.0
KILLED_AT = 100.0
PIECES = ("The Nano ", "plan costs ", "$9 a month [1].")


def events(*pieces: str, status: str = "COMPLETED", after: int = 0, text: str | None = None) -> list[Seen]:
    """A turn's events with these pieces of text, one every 0.1 s up to KILLED_AT."""
    last = "turn_completed" if status == "COMPLETED" else "turn_ended"
    told = [
        ("turn_started", "What?", ""),
        ("route_chosen", "What? → pricing", ""),
        *(("answer_delta", piece, "") for piece in pieces),
        *([(last, "".join(pieces) if text is None else text, status)] if status else []),
    ]
    count = len(told)
    return [
        Seen(seq, kind, 7, said, KILLED_AT - 0.1 * (count - seq), ended)
        for seq, (kind, said, ended) in enumerate(told, 1)
        if seq > after
    ]


def attachment(seen: list[Seen], after: int = 0, transport: str = "REST") -> Attachment:
    return Attachment(transport, after, seen)


def observed(*attachments: Attachment, stored: StoredTurn | None = None, followers: int = 1) -> Observed:
    """One turn that was followed on these connections, by so many followers in turn."""
    turn = stored or answered()
    readers = [Follower(f"follower {n}", list(attachments[n::followers])) for n in range(followers)]
    call = Call("1-1", "".join(PIECES), ended=KILLED_AT, aborted=turn.status != "COMPLETED")
    text = turn.answers[0]
    return Observed(
        asks=[Ask("1-1", 3, "What?", followers=readers, turn_id=7, stop_asked=turn.status == "STOPPED")],
        calls=[call],
        kills=[KILLED_AT],
        stored=[turn],
        listed={3: [(7, "USER", "What?"), (7, "ASSISTANT", text)]},
    )


def answered(status: str = "COMPLETED", *pieces: str) -> StoredTurn:
    kept = pieces or PIECES
    text = "".join(kept)
    return StoredTurn(
        7, 3, "1-1", status, False, ("What?",), (text,), KILLED_AT + 3, tuple(events(*kept, status=status))
    )


def broken(seen: Observed) -> set[str]:
    return {violation.rule for violation in check(seen, LEASE)}


# ---------------------------------------------------------------- what is in order


def test_turns_that_keep_the_protocol_break_no_rule() -> None:
    whole = events(*PIECES)
    again = [attachment(whole[:3]), attachment(whole[3:], 3, "GraphQL SSE"), attachment(whole, 0)]
    assert broken(observed(*again)) == set()
    stopped = answered("STOPPED", *PIECES[:2])
    assert broken(observed(attachment(list(stopped.replay)), stored=stopped)) == set()


def test_the_last_moments_before_a_crash_may_be_lost() -> None:
    kept = answered("INTERRUPTED", *PIECES[:1])
    end = events(*PIECES[:1], status="INTERRUPTED")[-1]
    beyond = [attachment(events(*PIECES, status="")), attachment([replace(end, seq=6)], 5)]
    from_the_start = attachment(list(kept.replay), transport="GraphQL WebSocket")
    assert broken(observed(*beyond, stored=kept)) == set()
    assert broken(observed(attachment([*events(*PIECES, status=""), replace(end, seq=6)]), from_the_start, stored=kept, followers=2)) == set()  # fmt: skip


# ---------------------------------------------------------------- faults, each found


WHOLE = events(*PIECES)
DELTA = WHOLE[2]


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("seq counts without a gap", [*WHOLE[:2], *WHOLE[3:]]),  # lost
        ("seq counts without a gap", [*WHOLE[:3], *WHOLE[2:]]),  # doubled
        ("seq counts without a gap", [*WHOLE[:2], WHOLE[3], WHOLE[2], *WHOLE[4:]]),  # out of order
        ("seq counts without a gap", WHOLE[1:]),
        ("a number is one event", [*WHOLE[:2], replace(DELTA, said="The Mini "), *WHOLE[3:]]),
        ("the deltas are the stored text", [*WHOLE[:2], replace(DELTA, said="The Mini "), *WHOLE[3:]]),
        ("a follower gets to the last event", WHOLE[:-1]),
        ("nothing follows the last event", [*WHOLE, replace(DELTA, seq=6)]),
        ("the last event has the stored text", [*WHOLE[:-1], replace(WHOLE[-1], said="The Nano")]),
        ("all are told the same end", [*WHOLE[:-1], replace(WHOLE[-1], kind="turn_ended", status="FAILED")]),
        ("events have their order", [replace(WHOLE[0], kind="route_chosen"), *WHOLE[1:]]),
        ("what was told is stored", [replace(event, turn_id=8) for event in WHOLE]),
    ],
)
def test_what_a_client_must_not_see_is_found(fault: str, seen: list[Seen]) -> None:
    assert fault in broken(observed(attachment(seen)))


def test_a_gap_between_two_connections_is_found() -> None:
    assert "seq counts without a gap" in broken(observed(attachment(WHOLE[:3]), attachment(WHOLE[4:], 3)))
    assert "seq counts without a gap" in broken(observed(attachment(WHOLE[:3]), attachment(WHOLE[2:], 3)))
    assert "a cursor is one that was reached" in broken(observed(attachment(WHOLE[:2]), attachment(WHOLE[3:], 3)))


def test_followers_that_are_told_different_things_are_found() -> None:
    other = [*WHOLE[:3], replace(WHOLE[3], said="plan is ")]
    assert "a number is one event" in broken(observed(attachment(WHOLE), attachment(other), followers=2))
    lost = answered("INTERRUPTED", *PIECES[:1])
    one, two = events(*PIECES, status=""), events(*PIECES[:2], "for free", status="")
    assert "a number is one event" in broken(observed(attachment(one), attachment(two), stored=lost, followers=2))


def test_two_turns_or_two_calls_for_one_key_are_found() -> None:
    twice = observed(attachment(WHOLE))
    twice.stored.append(replace(answered(), id=8))
    assert "a key begins one turn" in broken(twice)
    billed = observed(attachment(WHOLE))
    billed.calls.append(billed.calls[0])
    assert "the model is asked once" in broken(billed)
    stray = observed(attachment(WHOLE))
    stray.stored.append(replace(answered(), id=8, key="2-1"))
    assert "nobody asked for this turn" in broken(stray)


def test_an_answer_that_is_asked_for_anew_has_a_turn_and_a_call_of_its_own() -> None:
    seen = observed(attachment([]), stored=answered("INTERRUPTED", *PIECES[:1]))
    seen.asks[0].followers[0] = Follower("asker", [attachment(list(seen.stored[0].replay))])
    told = [replace(event, turn_id=8) for event in WHOLE]
    again = Ask("1-2", 3, "What?", KILLED_AT + 5, seen.asks[0], [Follower("asker", [attachment(told)])], 8)
    seen.asks.append(again)
    seen.calls.append(Call("1-1", "".join(PIECES), KILLED_AT + 6, KILLED_AT + 7))
    seen.stored.append(replace(answered(), id=8, key="1-2", questions=(), replay=tuple(told)))
    assert broken(seen) == {"a chat lists what is stored"}  # still with the interrupted answer
    seen.listed[3][1] = (8, "ASSISTANT", "".join(PIECES))
    assert broken(seen) == set()
    seen.calls[1].begun = KILLED_AT - 1
    assert "the model is asked once" in broken(seen)


def test_what_is_not_stored_is_found() -> None:
    gone = observed(attachment(WHOLE))
    gone.stored.clear()
    assert {"a key begins one turn", "what was told is stored"} <= broken(gone)
    shorter = observed(attachment(WHOLE), stored=answered("COMPLETED", *PIECES[:2]))
    assert {"a whole answer is the model's", "the deltas are the stored text"} <= broken(shorter)
    doubled = observed(attachment(WHOLE))
    doubled.stored[0] = replace(doubled.stored[0], questions=("What?", "What?"))
    assert "a turn has its message and its answer" in broken(doubled)
    unlisted = observed(attachment(WHOLE))
    unlisted.listed[3].reverse()
    assert "a chat lists what is stored" in broken(unlisted)


def test_crashes_that_cost_too_much_are_found() -> None:
    kept = answered("INTERRUPTED", *PIECES[:1])
    told = events(*PIECES, status="")
    early = [replace(event, at=event.at - 10) for event in told]
    end = replace(kept.replay[-1], seq=6)
    assert broken(observed(attachment([*early, end]), stored=kept)) == {"text is saved every 500 ms"}
    late = replace(kept, ended_at=KILLED_AT + 60)
    assert broken(observed(attachment([*told, end]), stored=late)) == {"a dead worker's turns end within the lease"}
    changed = [*told[:2], replace(told[2], said="The Mini "), *told[3:], end]
    assert "what is kept was told" in broken(observed(attachment(changed), stored=kept))
    alive = observed(attachment([*told, end]), stored=kept)
    alive.kills = [KILLED_AT - 50]
    assert broken(alive) == {"only a crash interrupts"}


def test_turns_that_do_not_end_are_found() -> None:
    running = observed(attachment(WHOLE[:3]), stored=replace(answered("RUNNING"), leased=True, ended_at=None))
    assert {"every turn ends", "a follower gets to the last event"} <= broken(running)
    failed = observed(attachment(events(*PIECES, status="FAILED")), stored=answered("FAILED"))
    assert "a turn ends for a reason" in broken(failed)
    hung = observed(attachment(WHOLE))
    hung.asks[0].followers[0].silent = 1
    hung.asks[0].followers[0].refusals.append("CHAT_BUSY (turn 7)")
    assert broken(hung) == {"a follower hears of the end", "a client is served"}
    logged = observed(attachment(WHOLE))
    logged.logged.append("Traceback (most recent call last):")
    assert broken(logged) == {"the servers logged what nobody expects"}


# ---------------------------------------------------------------- the proxy


@pytest.mark.parametrize("reset", [True, False])
async def test_a_response_is_cut_at_the_byte(reset: bool) -> None:
    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        writer.write(b"0123456789")
        await reader.read()
        writer.close()

    target = await asyncio.start_server(tell, "127.0.0.1", 0)
    cutter = Cutter(target.sockets[0].getsockname()[1], lambda: Cut(response=True, after=4, reset=reset))
    port = await cutter.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"go")
    if reset:
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(5)
    else:
        assert await reader.read() == b"0123"
    writer.close()
    assert cutter.cuts == {f"response, {'RST' if reset else 'FIN'}": 1}
    cutter.plan = lambda: Cut(response=True, after=10, reset=reset)  # nothing is withheld: no cut
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"go")
    assert await reader.readexactly(10) == b"0123456789"
    writer.close()
    assert cutter.responses_cut == 1
    await cutter.close()
    target.close()


# ---------------------------------------------------------------- the real thing


@pytest.mark.parametrize("database", BACKENDS)
def test_nothing_is_lost_doubled_or_out_of_order(database: str, capfd: pytest.CaptureFixture[str]) -> None:
    report = soak(Plan(database, kills=20, cuts=500))
    with capfd.disabled():
        print(f"\n{table(report)}", file=sys.stderr, flush=True)
    assert report.violations == [], failures(report)
    assert report.kills >= 20
    assert report.responses_cut >= 500
    assert report.turns["COMPLETED"] > 20
    assert report.turns["INTERRUPTED"] > 0
    assert min(report.reconnects[name] for name in ("REST", "GraphQL SSE", "GraphQL WebSocket")) > 20
