"""Names over the wire: what the API's description says of them.

The rules themselves, and their own reasons, are the services'; here they are published and not held.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from agentpod_core.values.names import HOST_LABEL, SLUG

Slug = Annotated[str, Meta(extra_json_schema={"pattern": f"^{SLUG.pattern}$", "maxLength": 30})]
Subdomain = Annotated[str, Meta(extra_json_schema={"pattern": f"^{HOST_LABEL.pattern}$", "maxLength": 63})]
Title = Annotated[str, Meta(extra_json_schema={"maxLength": 200})]
Email = Annotated[str, Meta(extra_json_schema={"maxLength": 254, "pattern": r"^([^@\s]+@[^@\s]+)?$"})]
