"""Layer 3: network functions over the rings, batch by batch, in a process of their own."""
