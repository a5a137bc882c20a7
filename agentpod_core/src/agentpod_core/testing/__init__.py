"""The contract kit: what an implementation of a plug point must pass, and fakes that do."""
