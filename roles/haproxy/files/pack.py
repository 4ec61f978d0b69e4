"""Pack a folder of Python modules into one file that runs: pack.py FOLDER MODULE:FUNCTION TARGET.

The same modules give the same bytes, which zipapp does not promise, so that a second deployment changes nothing.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

FIXED = (1980, 1, 1, 0, 0, 0)
MAIN = "import sys\n\nfrom {module} import {function}\n\nsys.exit({function}())\n"


def pack(folder: Path, entry: str) -> bytes:
    """The bytes of the file; `entry` is `module:function`."""
    module, _, function = entry.partition(":")
    texts = {"__main__.py": MAIN.format(module=module, function=function).encode()}
    texts |= {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.py")}
    packed = io.BytesIO()
    packed.write(b"#!/usr/bin/python3\n")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(texts):
            archive.writestr(zipfile.ZipInfo(name, FIXED), texts[name], zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def main(folder: str, entry: str, target: str) -> None:
    """Write the file if it differs, and say `changed` or `same`."""
    packed, path = pack(Path(folder), entry), Path(target)
    if path.is_file() and path.read_bytes() == packed:
        print("same")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed)
    print("changed")


if __name__ == "__main__":
    main(*sys.argv[1:])
