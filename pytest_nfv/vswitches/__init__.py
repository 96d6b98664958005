"""Layer 3: switch drivers, one file each."""
