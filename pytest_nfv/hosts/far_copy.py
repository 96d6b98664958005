"""The far end of a copied file; its text is given to a Python there: `put PATH OCTETS MODE` or `get PATH`.

What the kernel refuses is an exit status of `REFUSED` and a line of JSON on stderr: errno, reason, path.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys

REFUSED = 3


def put(path: str, octets: int, mode: int) -> None:
    """Write stdin beside the file and rename, so that no part of it is ever seen under its name."""
    folder, name = os.path.split(path)
    part = os.path.join(folder, f".{name}.{os.getpid()}.part")
    nameless = True
    try:
        try:  # goes by itself, when this process is killed
            descriptor = os.open(folder or ".", os.O_TMPFILE | os.O_WRONLY, 0o600)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):
                raise
            nameless, descriptor = False, os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
            file.flush()
            os.fchmod(file.fileno(), mode)
            whole = os.fstat(file.fileno()).st_size == octets  # else the connection ended
            if nameless and whole:
                # a directory is given only for Python to take linkat(2), which follows the name in /proc
                os.link(f"/proc/self/fd/{file.fileno()}", part, src_dir_fd=file.fileno())
        if whole:
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
