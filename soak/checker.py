"""Compares what clients saw with what is stored. Each function holds rules of docs/PROTOCOL.md; `check` holds all.

violations = check(observed, lease=2.0)
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from soak.observations import LAST, Ask, Attachment, Call, Follower, Observed, Seen, StoredTurn, Violation

SAVED_WITHIN = 0.5
"""Seconds that the stored text may be behind (2.6)."""
MARGIN = 1.0
"""Seconds more that a busy machine may take to save, and to carry an event to its client."""
NEAR = 1.0
"""Seconds between a kill and the moment at which the model notices it."""
FOUND_WITHIN = 3.0
"""Seconds more than a lease and a half (survivors look every half lease) that a busy machine may need."""
SLOW = 3.0
"""Requests to save a text, or to renew a lease, on a machine where one takes so long that it is measured."""


def check(observed: Observed, lease: float) -> list[Violation]:
    """Nothing, when every rule held."""
    by_key: dict[str, list[StoredTurn]] = defaultdict(list)
    for turn in observed.stored:
        by_key[turn.key or ""].append(turn)
    calls = calls_of(observed)
    found: list[Violation] = []
    for ask in observed.asks:
        turns = by_key.pop(ask.key, [])
        found += _asked_once(ask, turns, calls[ask.key])
        found += _in_order(ask)
        if len(turns) == 1:
            found += _same_everywhere(ask, turns[0])
            found += _kept(ask, turns[0])
            found += _whole(ask, turns[0], calls[ask.key])
            found += _interrupted(ask, turns[0], calls[ask.key], observed, lease)
    for key, turns in by_key.items():
        found += [Violation("nobody asked for this turn", _name(turn), f"its key is {key!r}") for turn in turns]
    found += _settled(observed.stored)
    found += _listed(observed)
    found += [Violation("the servers logged what nobody expects", "-", line) for line in observed.logged]
    return found


def calls_of(observed: Observed) -> dict[str, list[Call]]:
    """By the ask's key. The calls about one question are its first answer's until another was asked for."""
    calls: dict[str, list[Call]] = defaultdict(list)
    asks: dict[str, list[Ask]] = defaultdict(list)
    for ask in observed.asks:
        asks[original(ask).key].append(ask)
    for call in observed.calls:
        since = [ask.key for ask in asks[call.key] if ask.begun <= call.begun]
        calls[since[-1] if since else call.key].append(call)
    return calls


def original(ask: Ask) -> Ask:
    """The ask that sent the question."""
    return ask if ask.again is None else original(ask.again)


def _asked_once(ask: Ask, turns: list[StoredTurn], calls: list[Call]) -> Iterator[Violation]:
    """2.1 and 2.4: one turn, one message, one answer and at most one model call for a key."""
    if len(turns) != 1:
        yield Violation("a key begins one turn", ask.key, f"stored are {[turn.id for turn in turns]}")
    if len(calls) > 1:
        yield Violation("the model is asked once", ask.key, f"it was asked {len(calls)} times")
    told = {seen.turn_id for _, _, seen in ask.seen()}
    if told - {turn.id for turn in turns}:
        yield Violation("what was told is stored", ask.key, f"told were turns {told}, stored {[t.id for t in turns]}")
    for turn in turns:
        questions = (ask.question,) if ask.again is None else ()
        if turn.chat_id != ask.chat_id or turn.questions != questions or len(turn.answers) != 1:
            messages = f"{len(turn.questions)} questions, {len(turn.answers)} answers in chat {turn.chat_id}"
            yield Violation("a turn has its message and its answer", _name(turn), messages)


def _in_order(ask: Ask) -> Iterator[Violation]:
    """1.1, 1.3 and 2.3: on each connection the events after the cursor, without a gap, a double or a change of order,
    and nothing after the last; each follower gets to the last."""
    for follower in ask.followers:
        for refusal in follower.refusals:
            yield Violation("a client is served", ask.key, f"{follower.name}: {refusal}")
        if follower.silent:
            yield Violation(
                "a follower hears of the end", ask.key, f"{follower.name}: silence, {follower.silent} times"
            )
        if follower.last is None and not follower.left:
            yield Violation("a follower gets to the last event", ask.key, f"{follower.name} got to {follower.cursor}")
        reached = 0
        for attachment in follower.attachments:
            if attachment.after > reached:
                yield Violation("a cursor is one that was reached", ask.key, f"{attachment.after} > {reached}")
            yield from _consecutive(ask, follower, attachment)
            reached = max(reached, attachment.seen[-1].seq if attachment.seen else 0)


def _consecutive(ask: Ask, follower: Follower, attachment: Attachment) -> Iterator[Violation]:
    where = f"{follower.name}, {attachment.transport} after {attachment.after}"
    seqs = [seen.seq for seen in attachment.seen]
    if seqs != list(range(attachment.after + 1, attachment.after + 1 + len(seqs))):
        first = next(n for n, seq in enumerate(seqs) if seq != attachment.after + 1 + n)
        yield Violation("seq counts without a gap", ask.key, f"{where}: … {seqs[max(0, first - 2) : first + 3]} …")
    for place, seen in enumerate(attachment.seen):
        if seen.kind in LAST and place + 1 < len(attachment.seen):
            yield Violation("nothing follows the last event", ask.key, f"{where}: {attachment.seen[place + 1].kind}")
        if (seen.seq == 1) != (seen.kind == "turn_started") and seen.kind not in LAST:
            yield Violation("events have their order", ask.key, f"{where}: {seen.kind} is number {seen.seq}")


def _same_everywhere(ask: Ask, turn: StoredTurn) -> Iterator[Violation]:
    """1.1 and 2.3: a number is the same event for every follower, on every connection, and from the store. Of an
    interrupted turn the end may come at several numbers, and events beyond what was saved are lost (2.6)."""
    events: dict[int, Seen] = {seen.seq: seen for seen in turn.replay}
    lossy = turn.status == "INTERRUPTED"
    stored_to = len(turn.replay)
    for follower, attachment, seen in ask.seen():
        where = f"{follower.name}, {attachment.transport}: number {seen.seq}"
        if seen.kind in LAST:
            if turn.replay and seen.told != turn.replay[-1].told:
                yield Violation("all are told the same end", _name(turn), f"{where}: {_told(seen, turn.replay[-1])}")
            if not lossy and seen.seq != stored_to:
                yield Violation("all are told the same end", _name(turn), f"{where} is last, in the store {stored_to}")
            continue
        if lossy and seen.seq >= stored_to:
            known = events.get(-seen.seq) or events.setdefault(-seen.seq, seen)  # lost: compared among the followers
        else:
            known = events.get(seen.seq, seen)
            if seen.seq not in events:
                yield Violation("what was told is stored", _name(turn), f"{where} is not there any more")
        if known.told != seen.told:
            yield Violation("a number is one event", _name(turn), f"{where}: {_told(seen, known)}")


def _kept(ask: Ask, turn: StoredTurn) -> Iterator[Violation]:
    """1.4: the deltas, joined, are the text of the last event, and that is what is stored."""
    if len(turn.answers) != 1:
        return
    stored = turn.answers[0]
    for who, seen in [("the store", turn.replay), *_joined(ask)]:
        last = seen[-1] if seen and seen[-1].kind in LAST else None
        text = "".join(event.said for event in seen if event.kind == "answer_delta")
        if last is not None and last.said != stored:
            yield Violation("the last event has the stored text", _name(turn), f"{who}: {_differ(last.said, stored)}")
        if last is not None and last.status != turn.status:
            yield Violation("the last event has the status", _name(turn), f"{who}: {last.status}, not {turn.status}")
        if turn.status == "INTERRUPTED" and who != "the store":
            if not (text.startswith(stored) or stored.startswith(text)):
                yield Violation("what is kept was told", _name(turn), f"{who}: {_differ(text, stored)}")
        elif last is not None and text != stored:
            yield Violation("the deltas are the stored text", _name(turn), f"{who}: {_differ(text, stored)}")


def _joined(ask: Ask) -> Iterator[tuple[str, list[Seen]]]:
    """What each follower has in the end: every number once, over all connections."""
    for follower in ask.followers:
        seen = {event.seq: event for attachment in follower.attachments for event in attachment.seen}
        if follower.last is not None:
            yield follower.name, [seen[seq] for seq in sorted(seen) if seq <= follower.last.seq]
        else:
            yield follower.name, [seen[seq] for seq in sorted(seen)]


def _whole(ask: Ask, turn: StoredTurn, calls: list[Call]) -> Iterator[Violation]:
    """A turn that completed has all that the model said, any other the beginning of it; each ends for a reason."""
    said = calls[0].said if calls else ""
    text = turn.answers[0] if len(turn.answers) == 1 else said
    if turn.status == "COMPLETED" and (len(calls) != 1 or text != said):
        yield Violation("a whole answer is the model's", _name(turn), f"{len(calls)} calls; {_differ(text, said)}")
    if not said.startswith(text):
        yield Violation("a part of an answer is its beginning", _name(turn), _differ(text, said))
    if turn.status == "FAILED" or (turn.status == "STOPPED" and not ask.stop_asked):
        yield Violation("a turn ends for a reason", _name(turn), f"{turn.status}, and nobody gave cause")
    if ask.calm and turn.status != "COMPLETED":
        yield Violation("a turn ends for a reason", _name(turn), f"{turn.status} after all the crashes were over")


def _interrupted(
    ask: Ask, turn: StoredTurn, calls: list[Call], observed: Observed, lease: float
) -> Iterator[Violation]:
    """2.6: only a worker's death interrupts, it is found within the lease, and it costs half a second at most."""
    if turn.status != "INTERRUPTED" or len(calls) != 1 or len(turn.answers) != 1:
        return
    died, stalled = death(calls[0], observed.kills, lease), observed.stalled(calls[0].ended)
    if died is None:
        if stalled < lease / SLOW:
            yield Violation("only a crash interrupts", _name(turn), "no worker was killed when its model call ended")
        return
    late = (turn.ended_at or 0.0) - (died + observed.wall)
    if late > lease * 1.5 + FOUND_WITHIN + stalled * SLOW:
        yield Violation("a dead worker's turns end within the lease", _name(turn), f"it took {late:.1f} s")
    lag = lost_for(ask, turn, died)
    if lag > SAVED_WITHIN + MARGIN + stalled * SLOW:
        yield Violation("text is saved every 500 ms", _name(turn), f"told {lag:.2f} s before the crash and not kept")


def death(call: Call, kills: Iterable[float], lease: float) -> float | None:
    """When the worker that made this call was killed: when the call broke off, or before the whole answer, whose text
    it had already, was stored. None when no kill is near."""
    latest = call.ended + (NEAR if call.aborted else lease)
    return next((kill for kill in kills if call.ended - NEAR < kill < latest), None)


def lost_for(ask: Ask, turn: StoredTurn, died: float) -> float:
    """How long before the crash a client had the first text that is not kept, in seconds; 0 when nothing is lost."""
    first: dict[int, Seen] = {}
    for _, _, seen in ask.seen():
        if seen.kind == "answer_delta" and (seen.seq not in first or seen.at < first[seen.seq].at):
            first[seen.seq] = seen
    written = 0
    for seq in sorted(first):
        written += len(first[seq].said)
        if written > len(turn.answers[0]):
            return max(0.0, died - first[seq].at)
    return 0.0


def _settled(stored: Iterable[StoredTurn]) -> Iterator[Violation]:
    """2.6: nothing runs any more, and nothing is held."""
    for turn in stored:
        if turn.ended_at is None or turn.leased or turn.status not in ("COMPLETED", "STOPPED", "FAILED", "INTERRUPTED"):
            yield Violation("every turn ends", _name(turn), f"{turn.status}, leased: {turn.leased}, {turn.ended_at}")


def _listed(observed: Observed) -> Iterator[Violation]:
    """1.6 and 2.5: a chat lists each question with its newest answer, one after another, as they were sent."""
    by_key = {turn.key: turn for turn in observed.stored}
    newest = {original(ask).key: by_key[ask.key] for ask in observed.asks if ask.key in by_key}
    wanted: dict[int, list[tuple[int, str, str]]] = defaultdict(list)
    for ask in observed.asks:
        if ask.again is None and ask.key in by_key:
            asking, answering = by_key[ask.key], newest[ask.key]
            wanted[ask.chat_id] += [(asking.id, "USER", text) for text in asking.questions]
            wanted[ask.chat_id] += [(answering.id, "ASSISTANT", text) for text in answering.answers]
    for chat_id, listed in observed.listed.items():
        there = wanted[chat_id]
        if listed != there:
            pairs = enumerate(zip(listed, there, strict=False))
            place = next((n for n, (a, b) in pairs if a != b), min(len(listed), len(there)))
            evidence = f"from message {place} on: {listed[place : place + 2]} instead of {there[place : place + 2]}"
            yield Violation("a chat lists what is stored", f"chat {chat_id}", evidence)


def _name(turn: StoredTurn) -> str:
    return f"turn {turn.id} ({turn.key}, {turn.status})"


def _told(one: Seen, other: Seen) -> str:
    if (one.kind, one.status) != (other.kind, other.status):
        return f"{one.kind} {one.status} and {other.kind} {other.status}"
    return f"{one.kind}: {_differ(one.said, other.said)}"


def _differ(one: str, other: str) -> str:
    place = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    at = max(0, place - 10)
    return f"{len(one)} and {len(other)} characters, from {place} on {one[at : at + 40]!r} and {other[at : at + 40]!r}"
