"""Layer 2: where commands run, and what a host is and can do."""
