"""Layer 2: packet rings seen as numpy arrays."""
