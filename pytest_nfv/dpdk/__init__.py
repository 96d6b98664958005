"""DPDK's own program `testpmd`: its prompt, and the counters that it prints. For switches and VNFs alike."""
