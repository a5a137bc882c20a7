"""What a pass would do, each change with its reason."""

from __future__ import annotations

from collections.abc import Sequence

from agentpod_cli.render.amounts import clean, local
from agentpod_cli.texts import Texts
from agentpod_client import shapes


def describe(plans: Sequence[shapes.Plan], texts: Texts) -> str:
    """Write plans, the changes below the thing that they are made to; of many, those to do nothing for are counted."""
    lines: list[str] = []
    quiet = [plan for plan in plans if not plan["actions"] and not plan.get("waiting")]
    for plan in plans if len(plans) == 1 else [plan for plan in plans if plan not in quiet]:
        about = "/".join(part for part in (plan["tenant"], plan.get("pod")) if part) or plan["key"]
        changes = plan["actions"]
        if waiting := plan.get("waiting"):
            until = f" ({texts('plan.until', time=local(plan['wake_at']))})" if plan.get("wake_at") else ""
            lines.append(f"{about}: {clean(waiting)}{until}")
        elif not changes:
            lines.append(f"{about}: {texts('plan.nothing')}")
        if not changes:
            continue
        lines.append(f"{about}: {texts('plan.one') if len(changes) == 1 else texts('plan.many', count=len(changes))}")
        lines += [f"  {clean(change['action'])} {clean(change['target'])}: {_why(change)}" for change in changes]
    if quiet and len(plans) > 1:
        lines.append(texts("plan.quiet", count=len(quiet)))
    return "\n".join(lines)


def _why(change: shapes.Action) -> str:
    return clean(change.get("message") or change["reason"])
