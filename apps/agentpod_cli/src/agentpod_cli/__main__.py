"""``python -m agentpod_cli`` is the same as ``agentpod``."""

from __future__ import annotations

from agentpod_cli.main import main

if __name__ == "__main__":
    main()
