"""What schemathesis has to look at besides its own checks; loaded in its process."""

from __future__ import annotations

import schemathesis


@schemathesis.check
def problem_reason_conformance(ctx, response, case) -> None:
    """Fail for a problem whose reason the document does not name for that status, or that it gives no cause for."""
    del ctx
    documented = case.operation.definition.raw["responses"].get(str(response.status_code))
    if documented is None or "application/problem+json" not in response.headers.get("content-type", [""])[0]:
        return
    reason = response.json()["reason"]
    if response.status_code == 400 and case.meta.generation.mode.is_positive:
        # What no schema can say: whose cursor it is, and how two times stand to each other.
        assert reason in {"BadCursor", "BadPeriod"}, f"{reason} for what the document allows"
    assert f"`{reason}`" in documented["description"], f"{reason} is not documented for {response.status_code}"
