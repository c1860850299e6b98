"""What the Hub's refusals mean, by status and the headers that say more, and what we refuse to ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from llamachat.errors import DownloadError, LlamachatError, ModelError
from llamachat.models.wire import ServerTrouble, TooManyRequests, seconds_to_wait

_REPO = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_LOGIN = "hf auth login, or set HF_TOKEN."


class NoSuchRepository(ModelError):
    """The Hub has no such repository, or does not show it to us."""

    def __init__(self, repo: str) -> None:
        super().__init__(f"there is no repository {repo}, or it is private.", f"A private one needs a login: {_LOGIN}")


class NoSuchFile(ModelError):
    """The repository has no such file. Whoever knows its files adds them."""

    def __init__(self, repo: str, file: str, hint: str = "") -> None:
        super().__init__(f"{repo} has no file {file}.", hint)


class TokenRefused(DownloadError):
    """The token that was sent is not, or no longer, valid. A public file can be had without."""

    def __init__(self) -> None:
        super().__init__("the Hub refused the token that is set.", f"Renew it: {_LOGIN}")


def refusal(  # noqa: PLR0911  a table
    status: int, headers: Mapping[str, str], repo: str, file: str, endpoint: str, *, has_token: bool
) -> LlamachatError:
    """The error for an answer of 400 or more. Without a code of the Hub's it may be a mirror's answer."""
    code, message = headers.get("x-error-code", ""), headers.get("x-error-message", "")
    if status == 401 and has_token and code not in ("GatedRepo", "RepoNotFound"):
        return TokenRefused()
    if code == "GatedRepo":
        return _gated(repo, endpoint, is_known=has_token and status != 401)
    if code == "RevisionNotFound":
        return ModelError(f"{repo} has no such revision.", "Leave it out for the newest.")
    if code == "EntryNotFound" or (status == 404 and not code and file):
        return NoSuchFile(repo, file)
    if code == "RepoNotFound" or status in (401, 404):
        return NoSuchRepository(repo)
    if status == 429:
        return TooManyRequests(seconds_to_wait(headers))
    if status in (408, 416, 425) or status >= 500:
        return ServerTrouble(f"the server answered with {status}.", "Try again later.")
    detail = f": {message.splitlines()[0][:120]}" if message else ""
    return DownloadError(f"the server refused {repo} with {status}{detail}.", f"Look at {endpoint}/{repo}")


def check_names(repo: str, file: str = "", revision: str = "") -> None:
    """Names become paths in the cache. Raises ModelError."""
    if not _REPO.fullmatch(repo) or ".." in repo:
        raise ModelError(f"{repo!r} cannot be a repository.", "It is OWNER/NAME.")
    for name in (file, revision):
        if ".." in PurePosixPath(name).parts or name.startswith("/") or "\\" in name:
            raise ModelError(f"{name!r} cannot be a file or a revision of a repository.")


def nearest_names(repo: str, known: Sequence[str]) -> list[str]:
    """Those of the repositories whose own name is like this one's, the nearest first."""
    from difflib import get_close_matches  # noqa: PLC0415  only on the way to an error

    names = {found.rpartition("/")[2].lower(): found for found in reversed(known)}
    return [names[near] for near in get_close_matches(repo.rpartition("/")[2].lower(), names, cutoff=0.75)]


def not_as_the_hub(endpoint: str) -> DownloadError:
    """The error for an answer that is none of the Hub's."""
    return DownloadError(f"{endpoint} did not answer as the Hub does.", "Is there a sign-in page? Open a browser.")


def _gated(repo: str, endpoint: str, *, is_known: bool) -> DownloadError:
    page = f"{endpoint}/{repo}"
    if not is_known:
        return DownloadError(f"{repo} wants its conditions accepted first.", f"Accept them at {page}, then: {_LOGIN}")
    return DownloadError(f"your account has no access to {repo}.", f"Ask for it at {page}")
