"""The far end of a copied file; its text is given to a Python there: `put PATH OCTETS MODE` or `get PATH`.

What the kernel refuses is an exit status of `REFUSED` and a line of JSON on stderr: errno, reason, path.
"""

from __future__ import annotations

import json
import os
import shutil
import sys

REFUSED = 3


def put(path: str, octets: int, mode: int) -> None:
    """Write stdin beside the file and rename, so that no part of it is ever seen under its name."""
    folder, name = os.path.split(path)
    part = os.path.join(folder, f".{name}.{os.getpid()}.part")
    try:
        with open(part, "xb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        if os.path.getsize(part) == octets:  # else the connection ended
            os.chmod(part, mode)
            os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.unlink(part)


def get(path: str) -> None:
    """Write the file to stdout."""
    with open(path, "rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def main(argv: list[str]) -> int:
    """Copy; return the exit status."""
    try:
        if argv[0] == "put":
            put(argv[1], int(argv[2]), int(argv[3]))
        else:
            get(argv[1])
    except OSError as error:
        print(json.dumps([error.errno, error.strerror, str(error.filename or argv[1])]), file=sys.stderr)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
