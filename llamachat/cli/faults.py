"""A fault of ours: its traceback goes to the log, a line to the user."""

from __future__ import annotations

import os
import traceback
from contextlib import suppress

from llamachat.errors import LlamachatError, StorageError
from llamachat.paths import Paths


def log_fault(error: BaseException, paths: Paths) -> LlamachatError:
    """The error to show in place of an unexpected one."""
    with suppress(OSError, StorageError):
        paths.make()
        descriptor = os.open(paths.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as log:
            traceback.print_exception(error, file=log)
    return LlamachatError(f"a fault in llamachat: {error!r}.", f"The traceback is in {paths.log}")
