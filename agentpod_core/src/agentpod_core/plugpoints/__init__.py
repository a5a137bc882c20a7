"""The abstract classes a plugin implements; behaviour lives in them, not in the hooks."""
