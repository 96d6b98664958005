"""Layer 3: network functions, one file an engine."""
