"""Layer 3: traffic generators, one file each; `DRIVERS` names them."""
