"""Layer 2: pure decision procedures, and a simulated device to judge them by."""
