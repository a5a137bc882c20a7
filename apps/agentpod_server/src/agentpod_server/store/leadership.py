"""Who leads: a lease row by the database's clock, with an epoch that grows whenever the holder changes.

Needs an open transaction that sees all tenants.
"""

from __future__ import annotations

from datetime import timedelta

from agentpod_core.errors import ConflictError
from agentpod_server.store.transactions import demanded

_TAKE = """
    insert into leases as l (name, holder, epoch, expires_at)
    values ('controller', $1, 1, clock_timestamp() + $2)
    on conflict (name) do update
        set holder = excluded.holder,
            epoch = l.epoch + (l.holder <> excluded.holder)::int,
            expires_at = clock_timestamp() + $2
        where l.holder = excluded.holder or l.expires_at <= clock_timestamp()
    returning epoch
"""


async def take(holder: str, seconds: float) -> int | None:
    """Take or renew the lease and give its epoch; None while somebody else holds it."""
    epoch: int | None = await demanded().value(_TAKE, holder, timedelta(seconds=seconds))
    return epoch


async def give_up(holder: str) -> None:
    """Let the lease go, if it is held; what its holder still writes afterwards is refused."""
    await demanded().execute(
        "update leases set holder = '', epoch = epoch + 1, expires_at = clock_timestamp()"
        " where name = 'controller' and holder = $1",
        holder,
    )


async def demand(epoch: int) -> None:
    """Keep the lease from changing hands until the end of this transaction.

    Raises:
        ConflictError: ``NotLeader``: the epoch is no longer the leader's.
    """
    held = await demanded().value(
        "select true from leases where name = 'controller' and epoch = $1 and holder <> '' for share", epoch
    )
    if not held:
        raise ConflictError("NotLeader")
