"""What the types of settings cannot say: whether an address, a domain, a range or a URL means something."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_address
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

from agentpod_core.values.names import HOST_LABEL

_SMALLEST_PREFIX = 24
_NEEDS = {"int": "a whole number", "float": "a number", "str": "text", "str | null": "text", "array": "a list of names"}


def decoding_complaint(message: str) -> str:
    """Say msgspec's complaint about one value in the operator's words."""
    _, kind, rest = message.split("`", 2) if message.count("`") > 1 else ("", "", message)
    if kind not in _NEEDS:
        return message[:1].lower() + message[1:]
    limit = rest.strip() if rest.startswith((" >", " <")) else ""
    return f"must be {limit or _NEEDS[kind]}"


def complaint(key: str, value: Any) -> str | None:
    """Say what the type alone cannot: whether the text means something. Never repeats the value."""
    match key:
        case "listen":
            return None if _is_address(value) else "must be an IP address of this machine, such as 127.0.0.1"
        case "domain":
            labels = value.split(".")
            good = len(value) <= 253 and all(HOST_LABEL.fullmatch(label) for label in labels)  # noqa: PLR2004 - RFC 1035
            return None if good else "must be a domain name in lower case, such as agents.example.org"
        case "network_range":
            return _range_complaint(value)
        case "database_url" if value is not None:
            return _url_complaint(value)
        case "resync_interval" | "time_scale":
            return None if isfinite(value) else "must be a finite number"
        case _:
            return None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _range_complaint(text: str) -> str | None:
    try:
        network = IPv4Network(text)
    except ValueError:
        return "must be an IPv4 network whose host bits are zero, such as 10.213.0.0/16"
    if network.prefixlen > _SMALLEST_PREFIX:
        return f"must be a /{_SMALLEST_PREFIX} or larger"
    if network.is_loopback or network.is_multicast or network.is_link_local or network.is_unspecified:
        return "must be a range that hosts can have"
    return None


def _url_complaint(text: str) -> str | None:
    try:
        url = urlsplit(text)
        complete = bool(url.path.strip("/")) and bool(url.hostname or "host=" in url.query)
        scheme_fits = url.scheme in ("postgresql", "postgres") and (url.port is None or url.port > 0)
    except ValueError:
        return "must be a URL such as postgresql://user:password@host:5432/agentpod"
    if not scheme_fits:
        return "must begin with postgresql://"
    return None if complete else "must name a host and a database: postgresql://user:password@host:5432/agentpod"
