"""What is set while the platform runs, as JSON by key. Needs an open transaction that sees all tenants."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from agentpod_server.store import rows
from agentpod_server.store.tables import Settings
from agentpod_server.store.transactions import demanded


async def read(key: str) -> Any:
    """Give a value; None when it is not set."""
    demanded()
    row = await Settings.select(Settings.value).where(Settings.key == key).first()
    return None if row is None else rows.value(row["value"], Any)


async def write(key: str, value: Any) -> None:
    """Set a value."""
    transaction = demanded()
    row = Settings(key=key, value=rows.text(value), updated_at=datetime.now(UTC), updated_by=transaction.scope.actor)
    await Settings.insert(row).on_conflict(
        target=Settings.key,
        action="DO UPDATE",
        values=[Settings.value, Settings.updated_at, Settings.updated_by],
    )


async def every() -> dict[str, Any]:
    """Give all values by key."""
    demanded()
    found = await Settings.select(Settings.key, Settings.value).order_by(Settings.key)
    return {row["key"]: rows.value(row["value"], Any) for row in found}
