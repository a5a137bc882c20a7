"""What a pass would do, each change with its reason."""

from __future__ import annotations

from collections.abc import Sequence

from agentpod_cli.render.amounts import clean
from agentpod_cli.texts import Texts
from agentpod_client import shapes


def describe(plans: Sequence[shapes.Plan], texts: Texts) -> str:
    """Write plans: one line for a thing that is right, its changes below one that is not."""
    lines: list[str] = []
    for plan in plans:
        about = "/".join(part for part in (plan["tenant"], plan.get("pod")) if part) or plan["key"]
        changes = plan["actions"]
        if not changes:
            lines.append(f"{about}: {texts('plan.nothing')}")
            continue
        lines.append(f"{about}: {texts('plan.one') if len(changes) == 1 else texts('plan.many', count=len(changes))}")
        lines += [f"  {clean(change['action'])} {clean(change['target'])}: {_why(change)}" for change in changes]
    return "\n".join(lines)


def _why(change: shapes.Action) -> str:
    return clean(change.get("message") or change["reason"])
