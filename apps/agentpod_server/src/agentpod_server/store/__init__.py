"""What AgentPod remembers: PostgreSQL behind repositories, each call inside a transaction with a scope."""
