"""A network function as a process: `python -m pytest_nfv.nfproc`; what it does is in `service`."""

import sys

from pytest_nfv.trafgen.priority import prefer

if __name__ == "__main__":
    prefer()
    from pytest_nfv.nfproc.service import main

    sys.exit(main())
