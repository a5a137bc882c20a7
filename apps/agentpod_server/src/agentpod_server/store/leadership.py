"""Who leads: a lease row by the database's clock, with an epoch that grows whenever the holder changes.

The database's clock may have been ahead, and set right since. A lease that was given up then is free all the same, and
one that was not runs for its duration from the moment somebody else asks: nobody waits until that date comes, and a
leader that is alive renews it in time. Needs an open transaction that sees all tenants.
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
        where l.holder in (excluded.holder, '') or l.expires_at <= clock_timestamp()
    returning epoch
"""

# Not taken away at once: who holds it may be alive, and acts on it for as long as it was given for.
_BEGIN_ANEW = """
    update leases set expires_at = clock_timestamp() + (expires_at - renewed_at)
    where name = 'controller' and renewed_at > clock_timestamp()
"""


async def take(holder: str, seconds: float) -> int | None:
    """Take or renew the lease and give its epoch; None while somebody else holds it."""
    transaction = demanded()
    epoch: int | None = await transaction.value(_TAKE, holder, timedelta(seconds=seconds))
    if epoch is None:
        await transaction.execute(_BEGIN_ANEW)
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
