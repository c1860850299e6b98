"""The structure that docs/architecture.md describes, held: who may import whom, and where each library lives."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "llamachat"
FILES = sorted(PACKAGE.rglob("*.py"))

# Each package, and what of ours it may import besides `types` and `errors`.
MAY_IMPORT = {
    "formats": {"formats"},
    "llama": {"llama", "formats"},
    "llama.blocks": {"llama", "cache"},
    "llama.snapshot": {"llama", "cache"},
    "cache": {"paths"},
    "engine": {"engine", "locks"},
    "engine.worker": {"engine", "llama", "formats"},
    "engine.answering": {"engine", "llama"},
    "engine.measuring": {"engine", "llama"},
    "engine.ready": {"engine", "llama", "formats"},
    "models": {"models", "paths"},
    "chat": {"chat", "engine", "choices"},
    "store": {"store", "chat", "paths", "locks"},
    "ui": {"ui", "chat", "store", "engine", "environment", "presets", "choices", "settings"},
    "doctor": {"doctor", "build", "store", "engine", "models", "environment", "paths", "cache"}
    | {"config", "presets", "choices", "settings"},
    "bench": {"bench", "doctor", "engine", "models"},
    "bench.raw": {"bench", "llama"},
    "cli": {"cli", "bench", "doctor", "ui", "chat", "store", "engine", "models", "environment", "paths", "version"}
    | {"cache", "config", "preset", "presets", "choices", "settings"},
    "config": {"choices", "settings", "paths"},
    "preset": {"choices", "settings", "paths"},
    "presets": {"preset", "choices", "settings", "paths"},
    "choices": {"settings"},
    "settings": set(),
    "locks": set(),
    "environment": {"paths"},
    "paths": set(),
    "types": set(),
    "errors": set(),
    "build": {"build"},
    "__main__": {"cli"},
}

# The part of `engine` that is the child's, and drives llama.cpp.
DRIVERS = {"engine.worker", "engine.answering", "engine.measuring", "engine.ready"}

# Each third-party library, and the one place that may import it.
HOMES = {
    "llama_cpp": {"llama.lib", "build.selfcheck"},
    "markdown_it": {"chat.page"},
    "psutil": {"llama.machine", "models.memory"},
    "jinja2": {"formats.jinja"},
    "msgspec": {"engine", "cli", "models.index", "models.library", "models.headers"},
    "huggingface_hub": {"models.hub"},
    "httpx2": {"models"},
    "filelock": {"paths", "models"},
    "platformdirs": {"paths"},
    "yaml": {"preset"},
    "tomlkit": {"config"},
    "typer": {"cli"},
    "rich": {"ui", "cli"},
    "prompt_toolkit": {"ui"},
    "pygments": {"ui.markdown.code"},
    "wcwidth": {"ui.markdown.width"},
}


def name_of(path: Path) -> str:
    """`llamachat/ui/keys.py` is `ui.keys`; a package's `__init__` is the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, also inside functions and for types."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            yield from (str(argument.value) for argument in node.args if isinstance(argument, ast.Constant))


def own_imports(path: Path) -> set[str]:
    """Modules of ours that a file imports, as `ui.keys`."""
    known = {name_of(file) for file in FILES}
    named = {module.removeprefix("llamachat.") for module in imports(path) if module.startswith("llamachat.")}
    return {module for module in named if module in known and module}


def rule_for(module: str) -> set[str]:
    return MAY_IMPORT[module] if module in MAY_IMPORT else MAY_IMPORT[module.split(".", maxsplit=1)[0]]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_go_down_only(path):
    module = name_of(path)
    if not module:
        return
    allowed = rule_for(module) | {"types", "errors"}
    assert {imported.split(".")[0] for imported in own_imports(path)} <= allowed


def test_only_the_worker_and_its_parts_drive_llama_cpp():
    users = {name_of(path) for path in FILES if any(module.startswith("llama.") for module in own_imports(path))}
    assert {user for user in users if not user.startswith("llama.")} == DRIVERS | {"bench.raw"}


def test_only_the_engines_entry_imports_them():
    users = {name_of(path) for path in FILES if own_imports(path) & DRIVERS}
    assert users - DRIVERS == {"engine.__main__"}


def test_the_raw_loop_has_the_binding_and_nothing_else_and_nobody_imports_it():
    assert own_imports(PACKAGE / "bench/raw.py") <= {"bench", "bench.values", "llama.lib"}
    assert {name_of(path) for path in FILES if "bench.raw" in own_imports(path)} == set()


def test_there_is_no_cycle():
    graph = {name_of(path): own_imports(path) - {name_of(path)} for path in FILES}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " → ".join([*trail, module])
        if module not in done:
            for imported in graph.get(module, ()):
                visit(imported, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("library", HOMES)
def test_each_library_has_one_home(library):
    users = {name_of(path) for path in FILES if any(module.split(".")[0] == library for module in imports(path))}
    assert users, f"{library} is declared and not used"
    assert all(any(user == home or user.startswith(f"{home}.") for home in HOMES[library]) for user in users), users


def test_every_library_used_is_declared_and_every_one_declared_has_a_home():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {
        line.split("=")[0].split(">")[0].split("<")[0].split("~")[0].strip() for line in project["dependencies"]
    }
    modules = {
        name.replace("-", "_").removesuffix("_python").removesuffix("_py").replace("pyyaml", "yaml")
        for name in declared
    }
    assert modules == set(HOMES)
    used = {module.split(".")[0] for path in FILES for module in imports(path)}
    assert used <= set(sys.stdlib_module_names) | modules | {"llamachat"}


def loaded_by(statement: str) -> set[str]:
    """Top-level packages that are loaded after a statement in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {module.split(".")[0] for module in done.stdout.split()}


def test_the_program_starts_without_the_heavy_libraries():
    loaded = loaded_by("import llamachat.cli.main")
    assert not loaded & {
        "llama_cpp",
        "huggingface_hub",
        "prompt_toolkit",
        "typer",
        "rich",
        "msgspec",
        "jinja2",
        "numpy",
        "yaml",
        "tomlkit",
    }


def test_a_one_shot_loads_no_line_editor_and_no_llama_cpp():
    loaded = loaded_by("import llamachat.cli.parse, llamachat.cli.oneshot")
    assert not loaded & {"llama_cpp", "prompt_toolkit", "jinja2", "numpy", "pydantic", "psutil"}


def test_the_engine_loads_the_binding_without_numpy():
    loaded = loaded_by("import llamachat.engine.worker")
    assert "llama_cpp" in loaded
    assert not loaded & {"numpy", "diskcache", "typer", "prompt_toolkit", "rich"}


def test_nothing_prints_or_exits_but_the_places_for_it():
    exits = {name_of(path) for path in FILES if "sys.exit(" in path.read_text(encoding="utf-8")}
    assert exits <= {"__main__", "cli.main", "build.__main__"}
