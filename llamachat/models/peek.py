"""The head of a file on the Hub, read a block at a time: enough to know a model by, a thousandth of its bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from llamachat.errors import DownloadError
from llamachat.models.gguf import Facts, read_facts
from llamachat.models.hub import Hub, RemoteFile
from llamachat.models.wire import network_errors

if TYPE_CHECKING:
    import httpx2

_BLOCK = 256 << 10
_PATIENCE = 10.0  # seconds


def facts_of(hub: Hub, file: RemoteFile) -> Facts:
    """What the head of a GGUF on the Hub says. Raises ModelError for a file that is none, and DownloadError."""
    with hub.client(_PATIENCE) as client, io.BufferedReader(_Remote(hub, file, client), _BLOCK) as stream:
        return read_facts(stream, file.file)


class _Remote(io.RawIOBase):
    """A file on the Hub, read forward by Range requests."""

    def __init__(self, hub: Hub, file: RemoteFile, client: httpx2.Client) -> None:
        self._hub = hub
        self._file = file
        self._client = client
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer, as far as there is something. Raises DownloadError."""
        end = min(self._position + len(buffer), self._file.n_bytes)
        if end <= self._position:
            return 0
        data = self._range(self._position, end)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _range(self, start: int, end: int) -> bytes:
        url = self._hub.url(self._file)
        headers = {**self._hub.headers(), "range": f"bytes={start}-{end - 1}", "accept-encoding": "identity"}
        with (
            network_errors(self._hub.proxies, url, _PATIENCE),
            self._client.stream("GET", url, headers=headers) as answer,
        ):
            self._hub.check(answer, self._file.repo, self._file.file)
            if answer.status_code != 206:
                raise DownloadError(
                    "the server sends only whole files, so this one cannot be looked at.", "Try --force."
                )
            data = answer.read()
        return data[: end - start]
