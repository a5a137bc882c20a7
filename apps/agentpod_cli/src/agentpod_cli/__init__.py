"""The agentpod command line."""
