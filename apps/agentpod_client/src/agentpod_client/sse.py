"""Reads a stream of server-sent events (WHATWG HTML, section 9.2); pure, it is given the lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Message(NamedTuple):
    """One message of the stream; ``id`` is the last one seen."""

    event: str
    data: str
    id: str


def messages(lines: Iterable[str]) -> Iterator[Message]:
    """Give the messages in those lines; comments, which keep the line alive, give none."""
    kind, data, last = "", list[str](), ""
    for line in lines:
        if not line:
            if data:
                yield Message(event=kind or "message", data="\n".join(data), id=last)
            kind, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                data.append(value)
            case "event":
                kind = value
            case "id":
                last = value
            case _:
                pass
