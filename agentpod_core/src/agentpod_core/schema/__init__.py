"""Everything that a config type's one Struct gives: its published schema, fields, checks and secrets.

The usual way is ``json_schema`` → ``accept`` → store the secrets → ``put_refs`` → ``build``; the
steps are here one by one too. Pure: no I/O, no clock.
"""

from __future__ import annotations

from agentpod_core.schema.acceptance import Accepted, accept
from agentpod_core.schema.building import build
from agentpod_core.schema.checking import problems
from agentpod_core.schema.coercion import coerce
from agentpod_core.schema.depth import is_too_deep
from agentpod_core.schema.fields import Field, Variant, fields, walk
from agentpod_core.schema.nodes import Kind
from agentpod_core.schema.publish import humanise, json_schema
from agentpod_core.schema.rendering import render
from agentpod_core.schema.secrets import is_mask, is_secret, mask, put_refs, secret_paths, split_secrets, unmask

__all__ = [
    "Accepted",
    "Field",
    "Kind",
    "Variant",
    "accept",
    "build",
    "coerce",
    "fields",
    "humanise",
    "is_mask",
    "is_secret",
    "is_too_deep",
    "json_schema",
    "mask",
    "problems",
    "put_refs",
    "render",
    "secret_paths",
    "split_secrets",
    "unmask",
    "walk",
]
