"""Layer 4: the only orchestration: plan, deploy, run, counters hop by hop."""
