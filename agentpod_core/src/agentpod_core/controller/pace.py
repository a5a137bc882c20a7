"""How often a controller looks, and how much it does at once."""

from __future__ import annotations

from msgspec import Struct


class Pace(Struct, frozen=True, kw_only=True):
    """How often and how wide; times in seconds.

    A lease lasts ``lease`` by the database's clock and is renewed every ``renew``; the leader itself
    stops acting ``margin`` earlier. Who stands by asks for it every ``ask``. ``workers`` is how many
    passes work at once; those that wait for a registry or for an agent's end do not count. ``slots`` is
    how many agents may boot at once, about one for each core. Every pod is measured once in ``sample``.
    """

    resync: float = 30.0
    renew: float = 2.0
    ask: float = 0.5
    lease: float = 10.0
    margin: float = 1.0
    workers: int = 8
    slots: int = 2
    sample: float = 60.0
    scale: float = 1.0
