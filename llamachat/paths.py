"""Where things live: the platform's directories, or one folder when LLAMACHAT_HOME names it."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from llamachat.errors import StorageError, UsageError

_LOCK_SECONDS = 10.0
_TURNS = "llamachat.turns"
_LONGEST_FOLDER = 80  # bytes; a socket's path may have 103, with its name and a zero
_UNWRITABLE = (errno.EROFS, errno.ENOSPC, errno.EACCES, errno.EPERM, getattr(errno, "EDQUOT", errno.ENOSPC))


@dataclass(frozen=True, slots=True)
class Paths:
    """Our directories, made when first used, readable by their owner alone."""

    state: Path  # input history, what was learned of this machine, logs
    config: Path  # what the user wrote: the configuration file, presets
    data: Path  # model files that cannot lie in the Hub's cache
    cache: Path  # what can be made again

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Paths:
        if home := environ.get("LLAMACHAT_HOME"):
            try:
                root = Path(home).expanduser().absolute()
            except RuntimeError as error:
                raise StorageError(f"LLAMACHAT_HOME={home} names no user's folder.", "Set it to a folder.") from error
            return cls(root / "state", root / "config", root / "data", root / "cache")
        import platformdirs  # noqa: PLC0415  30 ms that LLAMACHAT_HOME saves

        return cls(
            Path(platformdirs.user_state_dir("llamachat", appauthor=False)),
            Path(platformdirs.user_config_dir("llamachat", appauthor=False)),
            Path(platformdirs.user_data_dir("llamachat", appauthor=False)),
            Path(platformdirs.user_cache_dir("llamachat", appauthor=False)),
        )

    @property
    def config_file(self) -> Path:
        return self.config / "config.toml"

    @property
    def presets(self) -> Path:
        """The user's own presets."""
        return self.config / "presets"

    @property
    def history(self) -> Path:
        """What was typed in the REPL."""
        return self.state / "history"

    @property
    def ladder(self) -> Path:
        """What native code could not do on this machine (engine/ladder.py)."""
        return self.state / "ladder.json"

    @property
    def tunings(self) -> Path:
        """What was measured of models on this machine (engine/tunings.py)."""
        return self.state / "tunings.json"

    @property
    def models(self) -> Path:
        """What is remembered of model files (models/index.py)."""
        return self.state / "models.json"

    @property
    def headers(self) -> Path:
        """Which model files' headers were found right (models/headers.py)."""
        return self.state / "headers.json"

    @property
    def licences(self) -> Path:
        """Which licences were accepted, and when."""
        return self.state / "licences.json"

    @property
    def sessions(self) -> Path:
        """What was said (store/)."""
        return self.data / "sessions.db"

    @property
    def joined(self) -> Path:
        """Model files that were put together from halves."""
        return self.data / "models"

    @property
    def blocks(self) -> Path:
        """What prompts have evaluated to (cache.py)."""
        return self.cache / "kv"

    @property
    def warm(self) -> Path:
        """Sockets of engines that stay (engine/warm.py).

        The system bounds the length of their paths. Where it is passed, the folder is in the one for temporary files;
        whoever else makes it there first prevents engines from staying, no more.
        """
        folder = self.state / "warm"
        if len(os.fsencode(folder)) <= _LONGEST_FOLDER:
            return folder
        import hashlib  # noqa: PLC0415  not before it is needed

        return Path("/tmp") / f"llamachat-{hashlib.blake2b(os.fsencode(folder), digest_size=8).hexdigest()}"

    @property
    def engine_log(self) -> Path:
        return self.state / "engine.log"

    @property
    def log(self) -> Path:
        """Tracebacks of faults of ours."""
        return self.state / "llamachat.log"

    def make(self) -> None:
        """Create the directory of what we write unasked. Raises StorageError for a place where there can be none.

        A disk that cannot be written is told by what has to write: a chat has not.
        """
        try:
            make_private_folder(self.state)
        except StorageError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in _UNWRITABLE:
                return
            raise


def turns_file() -> Path:
    """The file over which the engines of all users of this machine take turns (engine/turns.py)."""
    if sys.platform == "win32":  # a user's own: others' files cannot be opened there
        import tempfile  # noqa: PLC0415  10 ms that nobody else needs

        return Path(tempfile.gettempdir()) / _TURNS
    return Path("/tmp") / _TURNS  # not TMPDIR, which may be each user's own


def make_private_folder(path: Path) -> None:
    """Create the directory, and those above it that are missing, open to their owner alone. Raises StorageError."""
    try:
        for folder in (*reversed(path.parents), path):
            if not folder.exists():
                folder.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be made: {error.strerror}.", "Name another folder with LLAMACHAT_HOME."
        ) from error


def private_file(path: Path) -> Path:
    """Create the file, if there is none, readable by its owner alone. Raises StorageError."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}.", "Name another folder with LLAMACHAT_HOME."
        ) from error
    return path


def read_text(path: Path, hint: str) -> str:
    """What a user wrote in a file; empty if there is none. Raises UsageError with the hint for no text."""
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is not a file.", "Move it out of the way.")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}, line {line}: this is not UTF-8 text.", hint) from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from error


def is_replaceable(path: Path) -> bool:
    """Whether another file may take its place: not that of a pipe or a device, nor of what a process has open."""
    folder = Path(os.path.realpath(path.parent))
    is_special = folder in (Path("/dev"), Path("/dev/fd")) or folder.parts[1:2] == ("proc",)
    return (path.is_file() or not path.exists()) and not is_special


def replace_file(path: Path, content: str | bytes) -> None:
    """Give the file this content, whole or not at all, readable by its owner alone. Raises StorageError.

    What is no file is written into.
    """
    if not is_replaceable(path):
        _write_into(path, content.encode() if isinstance(content, str) else content)
        return
    make_private_folder(path.parent)
    target = Path(os.path.realpath(path))  # a link to a file that is kept elsewhere stays one
    draft = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.", "Check its folder.") from error


def _write_into(path: Path, data: bytes) -> None:
    """Raises StorageError."""
    if path.is_block_device():
        raise StorageError(f"{path} is a disk.", "Name a file.")
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND), "wb") as file:
            file.write(data)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.", "Name a file.") from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Alone with a file while it is read, changed and written: others wait. Raises StorageError."""
    from filelock import FileLock, Timeout  # noqa: PLC0415  10 ms that only a change needs

    make_private_folder(path.parent)
    try:
        with FileLock(path.with_name(f".{path.name}.lock"), mode=0o600, timeout=_LOCK_SECONDS):
            yield
    except Timeout as error:
        raise StorageError(f"{path} is held by another process.", "Try again when it has ended.") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}.", "Check its folder.") from error
