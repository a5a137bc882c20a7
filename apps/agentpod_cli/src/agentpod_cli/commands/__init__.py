"""The verbs, one module for each noun. They read options, ask the client, and hand the answer to ``render``."""
