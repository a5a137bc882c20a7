"""A whole engine in virtual time, over a world in memory to which anything can happen."""
