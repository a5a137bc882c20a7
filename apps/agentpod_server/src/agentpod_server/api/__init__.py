"""The REST API of ``/api/v1`` and what stands at the root, over Litestar."""
