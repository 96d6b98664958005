"""Layer 4: testbed files made from what is found on hosts, and checked against it."""
