"""llama.cpp's build: whether it loads, and what it leaves unused of this processor and its GPU."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Collection, Iterator

from llamachat.build import binding, flags
from llamachat.doctor import features
from llamachat.doctor.features import FEATURES, Feature, names_of
from llamachat.doctor.finding import Finding, Remedy, could_be_better, fine, wrong
from llamachat.doctor.subject import Subject
from llamachat.engine.ladder import library_files
from llamachat.engine.protocol import Hello
from llamachat.errors import EngineDied

_SECTION = "llama.cpp"
_FIX = "llamachat doctor --fix"
_BACKENDS = {"cuda": "CUDA", "metal": "Metal", "vulkan": "Vulkan", "hip": "ROCm", "sycl": "SYCL"}


def check(subject: Subject) -> Iterator[Finding]:
    """The build and its features, then what is missing."""
    version = _version()
    wanted = binding.installed_requirement().partition("==")[2]
    if wanted and wanted != version:
        found = f"{version} is installed" if version else "it is not installed"
        error = EngineDied(f"llamachat needs {binding.BINDING} {wanted}, and {found}.", _FIX)
        yield wrong(_SECTION, error, Remedy.REBUILD)
        return
    try:
        hello = subject.hello
    except EngineDied as error:
        yield wrong(_SECTION, EngineDied(error.message, _FIX), Remedy.REBUILD)
        return
    yield fine(_SECTION, _describe(hello, version))
    macros = flags.native_macros(subject.environment.variables)
    yield from against_processor(features.built_in(hello.build), features.known_flags(), macros)
    yield from _against_gpu(hello, subject)


def _version() -> str:
    try:
        return importlib.metadata.version(binding.BINDING)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _describe(hello: Hello, version: str) -> str:
    """The versions, where it computes, and the extensions that matter most of those that were built in."""
    names = features.built_in(hello.build)
    kernels = names_of(each for each in FEATURES if each.built in names and not each.is_minor) or "no extensions"
    release = hello.build.partition(" (")[0].removeprefix("llama.cpp ")
    devices = "a GPU" if hello.has_gpu else "the processor"
    return f"{release}, {binding.BINDING} {version}, computes on {devices}, built with {kernels}"


def against_processor(built: set[str], here: set[str], macros: Collection[str]) -> Iterator[Finding]:
    """What was `built` in against the processor's flags; `macros` are those of a compiler that builds for it."""
    unused = [each for each in FEATURES if each.flag in here and each.built not in built]
    foreign = [each for each in FEATURES if each.built in built and each.flag not in here]
    if unused:
        yield _unused(unused, macros)
    if foreign and here and features.tells_all():
        text = f"it was built for {names_of(foreign)}, which this processor does not have: it may crash"
        yield could_be_better(_SECTION, text, _FIX, Remedy.REBUILD)


def _unused(unused: list[Feature], macros: Collection[str]) -> Finding:
    """What a build here would use is one thing, what needs another compiler first is another."""
    mendable = [feature for feature in unused if feature.macro in macros]
    text = f"this processor has {names_of(mendable or unused)}, which the build leaves unused"
    if mendable:
        return could_be_better(_SECTION, f"{text}: it is slower than it could be", _FIX, Remedy.REBUILD)
    if macros:
        return could_be_better(_SECTION, f"{text}, and so would the compiler here", f"A newer one, then: {_FIX}")
    return could_be_better(_SECTION, text, f"{flags.NO_COMPILER}. Then: {_FIX}")


def _against_gpu(hello: Hello, subject: Subject) -> Iterator[Finding]:
    devices = subject.machine.devices
    if hello.has_gpu or not devices:
        return
    name = devices[0].name
    needed = "Metal" if sys.platform == "darwin" else "CUDA"
    if needed in _backends():
        yield could_be_better(_SECTION, f"it was built with {needed}, and does not find {name}", "Look at: nvidia-smi")
        return
    text = f"{name} is not used: this build has no {needed}"
    if needed == "Metal" or "-DGGML_CUDA=on" in flags.recipe_for_this_machine(subject.environment.variables).cmake_args:
        yield could_be_better(_SECTION, text, _FIX, Remedy.REBUILD)
    else:
        yield could_be_better(_SECTION, text, f"Install the CUDA toolkit (nvcc), then: {_FIX}")


def _backends() -> set[str]:
    """What this build can compute with beside the processor, by its files."""
    files = " ".join(path.name for path in library_files())
    return {name for part, name in _BACKENDS.items() if f"ggml-{part}" in files}
