"""Getting into a cluster: its address, its token, and what to do when it says no.

Ray 2.60 reads `RAY_AUTH_MODE`, `RAY_AUTH_TOKEN`, `RAY_AUTH_TOKEN_PATH`, `~/.ray/auth_token`, `RAY_API_SERVER_ADDRESS`
and `RAY_ADDRESS`. raydet reads the same, and never shows a token.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from raydet.transforms.object_store import shown

SCHEMES = ("http", "https", "ray")
_PATIENCE = 10.0
DEFAULT_API_SERVER = "http://127.0.0.1:8265"


def use_token_if_there_is_one() -> None:
    """Show the cluster a token if this user has one and `RAY_AUTH_MODE` does not say anything else.

    Ray sends none unless that variable says so, even to the clusters that it started with one.
    """
    if "RAY_AUTH_MODE" not in os.environ and has_token():
        from ray._private.authentication.authentication_token_setup import _enable_token_auth

        _enable_token_auth()


def has_token() -> bool:
    """Whether Ray would find a token of this user."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    return _token_file().is_file()


def keep_token_private() -> None:
    """Take this user's token from the eyes of others; Ray writes the file for all to read."""
    with contextlib.suppress(OSError):  # none, or not ours
        _token_file().chmod(0o600)


def _token_file() -> Path:
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return Path(path) if path else Path.home() / ".ray" / "auth_token"


def api_server(given: str | None) -> str:
    """The address of the server that takes jobs.

    Args:
        given: by the user; `RAY_API_SERVER_ADDRESS`, then `RAY_ADDRESS`, then port 8265 of this machine when None.

    Raises:
        ValueError: the address cannot be one, or Ray would overrule it by a variable.
    """
    variable = next((name for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS") if os.environ.get(name)), None)
    told = os.environ[variable] if variable else None
    if given and told and given.rstrip("/") != told.rstrip("/"):
        raise ValueError(
            f"--address is {shown(given)}, but {variable}={shown(told)} goes before it in Ray; unset {variable}"
        )
    address = (given or told or DEFAULT_API_SERVER).rstrip("/")
    scheme = urlsplit(address).scheme if "://" in address else ""
    if scheme and scheme not in SCHEMES:
        raise ValueError(
            f"a cluster's address starts with {'://, '.join(SCHEMES)}:// or is host:port, got {shown(address)!r}; the "
            "server that takes jobs is usually http://HEAD:8265"
        )
    return address


def check_answers(address: str) -> None:
    """Look whether somebody listens at the address of a cluster; Ray itself would try for minutes.

    Raises:
        ValueError: it is the address of the server that takes jobs.
        ConnectionError: nobody listens.
    """
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.scheme in ("http", "https"):
        raise ValueError(
            f"{shown(address)} is a server that takes jobs, for `raydet submit`; a run joins a cluster at HEAD:6379"
        )
    if parts.hostname is None or parts.port is None:  # such as "auto"
        return
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=_PATIENCE).close()
    except OSError as error:
        raise ConnectionError(explain(error, address)) from error


def explain(error: BaseException, address: str) -> str:
    """What to do when a cluster cannot be reached or does not let us in."""
    text, place = f"{error} {error.__context__ or ''}", shown(address)
    if "Missing authentication token" in text or "no authentication token" in text or "401" in text:
        return (
            f"{place} wants a token and got none: copy ~/.ray/auth_token from the cluster's head to this machine, or "
            "set RAY_AUTH_TOKEN to it (and RAY_AUTH_MODE=token, or leave that unset)"
        )
    if "Invalid authentication token" in text or "token is invalid" in text or "403" in text:
        return f"{place} does not know this token: RAY_AUTH_TOKEN or ~/.ray/auth_token is of another cluster"
    if "SSL" in text or "HTTPS" in text or "plain HTTP" in text:
        return f"{place} does not speak {urlsplit(address).scheme or 'http'}; http:// and https:// are not the same"
    return (
        f"no Ray cluster answers at {place}: is it running, is the port right (jobs 8265, clusters 6379), and does a "
        "firewall let us through?"
    )
