"""What cases are measured on: a platform of the bench's own, and the reference beside it, made from the same parts."""

from __future__ import annotations

from stage.scene import Stage

__all__ = ["Stage"]
