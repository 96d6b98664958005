"""Layer 4: the versioned record of a run, its stores, comparison and renderers."""
