"""Layer 3: the XDP forwarder, a process of its own that holds programs and maps; it imports no numpy."""
