"""HTTP as a download needs it: proxies from our variables, a limit of time, and what failed on the way as ours.

Only here is an httpx2 client made, and are its errors caught. huggingface_hub's own client is one for the whole
process, takes its variables when it is imported, asks one address more for its user agent, and sets no limit of time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llamachat.errors import DownloadError

if TYPE_CHECKING:
    import httpx2

_CONNECT_SECONDS = 10.0
_LONGEST_WAIT = 300.0  # seconds, however long a server asks for; the Hub counts requests in windows of this length
_SCHEMES = ("http", "https", "all")


class ServerTrouble(DownloadError):
    """A fault of the server's, or of the way to it, that may be over in a moment."""


class Unreachable(ServerTrouble):
    """No answer at all: what is only a question is not asked again at once."""


class TooManyRequests(ServerTrouble):
    """The server wants us to wait for `seconds`; we do for `wait`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the Hub asks to wait for {seconds:,.0f} seconds.", "Try again later.")
        self.wait = min(seconds, _LONGEST_WAIT)


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxy variables that are set, by their names as they were written, and the hosts without one."""

    variables: Mapping[str, str]
    exceptions: tuple[str, ...] = ()

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Proxies:
        """Small letters win, as everywhere. `*` in NO_PROXY is no proxy for anything."""
        names = [f"{scheme}_proxy" for scheme in _SCHEMES]
        named = [name if variables.get(name) else name.upper() for name in names]
        exceptions = (variables.get("no_proxy") or variables.get("NO_PROXY") or "").replace(",", " ").split()
        if "*" in exceptions:
            return cls({})
        found = {name: value for name in named if (value := variables.get(name))}
        return cls(found, tuple(exceptions))

    def patterns(self) -> Iterator[tuple[str, str, str | None]]:
        """Pairs as httpx2 mounts them, an address and its proxy, behind the variable that says so."""
        for name, value in self.variables.items():
            scheme = name.lower().removesuffix("_proxy")
            yield name, f"{scheme}://", value if "://" in value else f"http://{value}"
        for host in self.exceptions:
            is_ipv6 = host.count(":") > 1 and not host.startswith("[")
            yield "no_proxy", f"all://[{host}]" if is_ipv6 else f"all://*{host}", None

    def variable_for(self, url: str) -> str:
        """The variable that sends this address through a proxy; empty for none."""
        parts = urlsplit(url)
        if any(_is_of(host, name) for name in self.exceptions for host in (parts.hostname or "", parts.netloc)):
            return ""
        by_scheme = {name.lower().removesuffix("_proxy"): name for name in self.variables}
        return by_scheme.get(parts.scheme) or by_scheme.get("all") or ""


def _is_of(host: str, name: str) -> bool:
    """Whether NO_PROXY's name is this host's or one above it."""
    return f".{host}".endswith(f".{name.lstrip('.')}")


def connect(proxies: Proxies, patience: float) -> httpx2.Client:
    """A client that waits `patience` seconds for each next byte. Raises DownloadError for a useless variable."""
    import httpx2  # noqa: PLC0415  80 ms that only a download needs

    mounts: dict[str, httpx2.BaseTransport | None] = {}
    for name, pattern, proxy in proxies.patterns():
        mounts[pattern] = _transport(name, proxy) if proxy else None
    timeout = httpx2.Timeout(patience, connect=min(patience, _CONNECT_SECONDS))
    # Its own transport, so that certificates still come from SSL_CERT_FILE, and proxies only from `mounts`.
    return httpx2.Client(transport=_transport(), mounts=mounts, timeout=timeout, trust_env=False, follow_redirects=True)


def _transport(name: str = "", proxy: str | None = None) -> httpx2.HTTPTransport:
    """The way there, through the proxy that the variable `name` names."""
    import httpx2  # noqa: PLC0415

    try:
        return httpx2.HTTPTransport(proxy=proxy)
    except ImportError as error:
        raise DownloadError(f"{name} names a SOCKS proxy, which needs a package.", "pip install socksio") from error
    except OSError as error:
        raise DownloadError("the certificates of SSL_CERT_FILE cannot be read.", "Correct it, or unset it.") from error
    except (ValueError, httpx2.InvalidURL) as error:
        raise DownloadError(f"{name} names a proxy that is none.", "It is http://HOST:PORT.") from error


@contextmanager
def network_errors(proxies: Proxies, url: str, patience: float) -> Iterator[None]:
    """What breaks a connection, as ServerTrouble; what lets none come about, as Unreachable."""
    import httpx2  # noqa: PLC0415

    host = urlsplit(url).netloc
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
        raise _unreachable(error, host, proxies.variable_for(url)) from error
    except httpx2.TimeoutException as error:
        raise Unreachable(f"{host} sent nothing for {patience:,.3g} seconds.", "Try again later.") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ServerTrouble(f"the connection to {host} broke.", "Try again later.") from error


def _unreachable(error: Exception, host: str, variable: str) -> Unreachable:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Unreachable(
            f"the certificate of {host} is not one that this system trusts.",
            "Is there a sign-in page between? SSL_CERT_FILE names certificates of your own.",
        )
    if variable:
        return Unreachable(f"{host} cannot be reached through the proxy in {variable}.", "Is the proxy up?")
    return Unreachable(f"{host} cannot be reached.", "Check the connection and try again.")


def seconds_to_wait(headers: Mapping[str, str]) -> float:
    """What a 429 asks for: Retry-After, or the rest of the window in the Hub's RateLimit (`"api";r=0;t=55`)."""
    text = headers.get("retry-after") or headers.get("ratelimit", "").rpartition("t=")[2]
    return float(text) if text.isascii() and text.isdigit() else 30.0
