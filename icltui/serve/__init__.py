"""The engine over HTTP and to agents: the same operations, asked of an engine in a process of its own."""
