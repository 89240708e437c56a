"""Where a client connects from, as far as it is counted by it."""

from ipaddress import IPv6Address, IPv6Network, ip_address


def address_key(address: str) -> str:
    """One key per client: an IPv6 client owns its whole /64 (RFC 6177), so that is what counts."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return f"address {address}"
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped
        return f"address {mapped or IPv6Network((int(parsed), 64), strict=False)}"
    return f"address {parsed}"
