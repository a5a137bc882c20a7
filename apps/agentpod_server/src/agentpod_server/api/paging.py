"""The query parameters that every listing takes."""

from __future__ import annotations

from typing import Annotated

from litestar.params import QueryParameter

MOST = 500
LARGEST = 2**63 - 1

Limit = Annotated[int, QueryParameter(ge=1, le=MOST, description="How many items at most.")]
Cursor = Annotated[
    str | None, QueryParameter(max_length=2048, description="Where to go on: the `next` of the part before.")
]
After = Annotated[int | None, QueryParameter(ge=0, le=LARGEST, description="Only events with a larger `seq`.")]
