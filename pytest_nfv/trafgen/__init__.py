"""Layer 3: the built-in generator, a process of its own that speaks JSON lines."""
