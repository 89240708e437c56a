"""Which of the forms that an answer could take the client accepts: HTTP's Accept, RFC 9110 § 12.5.1."""

from collections.abc import Sequence

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"


def choose(accept: str | None, offers: Sequence[str]) -> str | None:
    """The offer that `accept` prefers; among equals the one that it names first, then the earlier offer. None when
    it refuses all of them. A client that sends no Accept takes anything."""
    if not accept or not accept.strip():
        return offers[0]
    ranges = _ranges(accept)
    scored = []
    for place, offer in enumerate(offers):
        rank = _rank(offer, ranges)
        if rank is not None:
            quality, position = rank
            scored.append((-quality, position, place, offer))
    return min(scored)[3] if scored else None


def _ranges(accept: str) -> list[tuple[str, float]]:
    found = []
    for part in accept.split(","):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        if "/" in media:
            found.append((media, quality))
    return found


def _rank(offer: str, ranges: list[tuple[str, float]]) -> tuple[float, int] | None:
    """Quality and position of the most specific range that covers `offer`; None when it is refused."""
    family = offer.split("/")[0] + "/*"
    for wanted in (offer, family, "*/*"):
        for position, (media, quality) in enumerate(ranges):
            if media == wanted:
                return (quality, position) if quality > 0 else None
    return None
