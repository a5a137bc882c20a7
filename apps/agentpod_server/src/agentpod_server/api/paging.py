"""The query parameters that listings take, each with its limits and what it means."""

from __future__ import annotations

from typing import Annotated

from litestar.params import QueryParameter

from agentpod_core.values.status import Phase
from agentpod_server.records import OperationStatus

MOST = 500
LARGEST = 2**63 - 1

Limit = Annotated[int, QueryParameter(ge=1, le=MOST, description="How many items at most.")]
Cursor = Annotated[
    str | None,
    QueryParameter(min_length=1, max_length=2048, description="Where to go on: the `next` of the part before."),
]
After = Annotated[int | None, QueryParameter(ge=0, le=LARGEST, description="Only events with a larger `seq`.")]
Tenant = Annotated[str | None, QueryParameter(max_length=80, description="Only of the tenant with this slug.")]
Pod = Annotated[str | None, QueryParameter(max_length=80, description="Only of the pod with this name; with `tenant`.")]
Adapter = Annotated[str | None, QueryParameter(max_length=80, description="Only pods of this adapter.")]
InPhase = Annotated[Phase | None, QueryParameter(description="Only pods in this phase.")]
Search = Annotated[str, QueryParameter(max_length=200, description="Only what has this text in its names.")]
Kind = Annotated[str | None, QueryParameter(max_length=80, description="Only operations of this kind.")]
InStatus = Annotated[OperationStatus | None, QueryParameter(description="Only operations that are this far.")]
KeepData = Annotated[bool, QueryParameter(description="Leave the volumes.")]
Cascade = Annotated[bool, QueryParameter(description="Delete the tenant's pods too.")]
