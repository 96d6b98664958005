"""The generator process: `python -m pytest_nfv.trafgen`; what it does is in `service`."""

import os
import sys

from pytest_nfv.trafgen.priority import prefer

if __name__ == "__main__":
    prefer()
    from pytest_nfv.trafgen.service import main

    status = main()
    sys.stderr.flush()
    os._exit(status)  # all is closed; the interpreter's own end, with numpy loaded, takes 40 ms more
