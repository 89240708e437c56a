"""What can be wrong with a service that was asked, as whoever runs the desk has to know it."""

from enum import StrEnum


class Trouble(StrEnum):
    UNREACHABLE = "unreachable"
    """No connection: an address that is wrong, a service that is down, a network between."""
    SILENT = "silent"
    """Connected, and no answer in time."""
    ANONYMOUS = "anonymous"
    """It was not asked: there are no credentials to ask with."""
    UNAUTHORISED = "unauthorised"
    """It answered that it does not let us in."""
    MISSING = "missing"
    """It let us in, and does not have what was asked for: a deployment, an index, a database."""
    REFUSED = "refused"
    """It does not take such a request: another version of its API, or the wrong service."""
    BUSY = "busy"
    """It says so: a rate or quota is used up."""
    FAILING = "failing"
    """It answered with a failure of its own, or with something that cannot be read."""
