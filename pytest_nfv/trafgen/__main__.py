"""The generator process: `python -m pytest_nfv.trafgen`; what it does is in `service`.

It takes its share of the core before it imports that. Beside a thread that polls at nice -20, such as another
run's, an ordinary one gets a part in 87: imports of a quarter of a second take longer than it has to answer.
"""

import contextlib
import os
import sys
from pathlib import Path

_NICE = -20


def _prefer() -> None:
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    with contextlib.suppress(OSError):  # its session's share of the core, where the kernel groups by session
        Path("/proc/self/autogroup").write_text(f"{_NICE}\n")


if __name__ == "__main__":
    _prefer()
    from pytest_nfv.trafgen.service import main

    status = main()
    sys.stderr.flush()
    os._exit(status)  # all is closed; the interpreter's own end, with numpy loaded, takes 40 ms more
