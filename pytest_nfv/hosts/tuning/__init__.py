"""Settings of a machine that a run may change: one small file each, one journal, one way back."""
