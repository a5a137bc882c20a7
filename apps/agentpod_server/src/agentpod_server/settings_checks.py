"""What the types of settings cannot say: whether an address, a domain, a range or a URL means something."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, ip_address
from math import isfinite
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from agentpod_core.values.addresses import AllowedAddresses
from agentpod_core.values.names import HOST_LABEL
from agentpod_server.store.access import APP, OPTIONS, OWNER

_SMALLEST_PREFIX = 24
_SERVER_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,28}[a-z0-9])?")
_ENCODE = "must have user, password and names percent-encoded: @ as %40, / as %2F, ? as %3F, # as %23, [ as %5B"
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
        case "name":
            return None if not value or _SERVER_NAME.fullmatch(value) else "must be of a-z, 0-9 and -, 30 at most"
        case "listen":
            return None if _is_address(value) else "must be an IP address of this machine, such as 127.0.0.1"
        case "domain":
            labels = value.split(".")
            good = len(value) <= 253 and all(HOST_LABEL.fullmatch(label) for label in labels)  # noqa: PLR2004 - RFC 1035
            return None if good else "must be a domain name in lower case, such as agents.example.org"
        case "network_range":
            return _range_complaint(value)
        case "notify_private_addresses":
            return _addresses_complaint(value)
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


def _addresses_complaint(texts: tuple[str, ...]) -> str | None:
    for text in texts:
        try:
            AllowedAddresses.of([text])
        except ValueError:
            return f"must be of addresses, networks such as 10.1.0.0/16 and names of hosts; {text!r} is none"
    return None


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
    """Say what is wrong with a database's URL, without a word of it: any part may be one of the password's."""
    if not text.startswith(("postgresql://", "postgres://")):
        return "must begin with postgresql://"
    try:
        url = urlsplit(text)
    except ValueError:
        return _ENCODE
    user, _, host = url.netloc.rpartition("@")
    name = url.path.removeprefix("/")
    # What is not encoded ends the password early, and the rest of it would be taken for host or database.
    if "@" in user + name + url.query or "/" in name or url.fragment or not text.isprintable() or " " in text:
        return _ENCODE
    asked = parse_qs(url.query, keep_blank_values=True)
    if unknown := sorted(set(asked) - OPTIONS):
        return f"knows no option {unknown[0]!r}; known are {', '.join(sorted(OPTIONS))}"
    try:
        complete = bool(name) and bool(host.partition(":")[0] or asked.get("host")) and url.port != 0
    except ValueError:
        complete = False
    if not complete:
        return "must name a host and a database: postgresql://user:password@host:5432/agentpod"
    if unquote(url.username or "") in {unquote(name) + OWNER, unquote(name) + APP}:
        return "must log in as another user: AgentPod makes itself two roles, named after the database, and this is one"
    return None
