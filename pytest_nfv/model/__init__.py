"""Layer 1: frozen, validated declarations and results."""
