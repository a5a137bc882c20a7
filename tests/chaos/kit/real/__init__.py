"""Real pods of a platform on a private engine: what is done to them, and what must be true of them in peace.

Everything is looked at from outside: with the engine's own client, through the router and by the API.
"""
