"""A pip that compiles nothing: `wheel` packs the folder FAKE_BINDING, `install` unpacks a wheel.

It stands as `pip/__main__.py` in an environment of its own, and notes its command lines beside itself.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import zipfile
from pathlib import Path

NAME = "llama_cpp_python-0.3.36-py3-none-any.whl"


def main(arguments: list[str]) -> int:
    with Path(__file__).with_name("calls").open("a", encoding="utf-8") as calls:
        calls.write(" ".join([*arguments, os.environ.get("CMAKE_ARGS", "")]) + "\n")
    if "wheel" in arguments:
        return build(Path(arguments[arguments.index("--wheel-dir") + 1]))
    if arguments[-1].endswith(".whl"):
        place = arguments[arguments.index("--target") + 1] if "--target" in arguments else ""
        with zipfile.ZipFile(arguments[-1]) as wheel:
            wheel.extractall(place or sysconfig.get_path("purelib"))
    return 0


def build(folder: Path) -> int:
    source = os.environ.get("FAKE_BINDING")
    if not source:
        sys.stdout.write("fatal error: no such file\n")
        return 1
    with zipfile.ZipFile(folder / NAME, "w") as wheel:
        for path in Path(source).rglob("*"):
            if "__pycache__" not in path.parts:
                wheel.write(path, Path("llama_cpp") / path.relative_to(source))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
