"""Which of the forms that an answer could take the client accepts: HTTP's Accept, RFC 9110 § 12.5.1."""

from collections.abc import Sequence

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
TEXT = "text/plain"
MULTIPART = "multipart/mixed;subscriptionspec=1.0"

DIALECTS = frozenset({"deferspec", "incrementalspec", "subscriptionspec"})
"""Parameters that make another form of a media type. Others, such as `charset` and `boundary`, are the server's to
say."""

Range = tuple[str, frozenset[str], float]
"""A media type, the parameters that count, and the quality."""


def choose(accept: str | None, offers: Sequence[str]) -> str | None:
    """The offer that `accept` prefers; among equals the one that it names first, then the earlier offer. None when
    it refuses all of them. A client that sends no Accept takes anything."""
    if not accept or not accept.strip():
        return offers[0]
    if accept in offers:
        return accept
    ranges = _ranges(accept)
    scored = []
    for place, offer in enumerate(offers):
        rank = _rank(offer, ranges)
        if rank is not None:
            quality, position = rank
            scored.append((-quality, position, place, offer))
    return min(scored)[3] if scored else None


def _ranges(accept: str) -> list[Range]:
    found = []
    for part in accept.split(","):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality, counted = 1.0, set()
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
            elif name in DIALECTS:
                counted.add(name + "=" + value.strip('"'))
        if "/" in media:
            found.append((media, frozenset(counted), quality))
    return found


def _rank(offer: str, ranges: list[Range]) -> tuple[float, int] | None:
    """Quality and position of the most specific range that covers `offer`; None when it is refused."""
    media_type, *parameters = offer.split(";")
    family = media_type.split("/")[0] + "/*"
    for wanted in (media_type, family, "*/*"):
        covering = [
            (-len(counted), position, quality)
            for position, (media, counted, quality) in enumerate(ranges)
            if media == wanted and counted.issubset(parameters)
        ]
        if covering:
            _, position, quality = min(covering)
            return (quality, position) if quality > 0 else None
    return None
