"""Put on PYTHONPATH: this process reaches nothing but this machine, and says what it tried.

Each refused attempt becomes a line of the file that OFFLINE_LOG names.
"""

import ipaddress
import os
import sys

_CONNECTING = ("socket.connect", "socket.sendto", "socket.sendmsg")
_RESOLVING = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")


def _is_here(host: object) -> bool:
    text = host.decode() if isinstance(host, bytes) else str(host)
    if text in ("", "None", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _refuse(event: str, args: tuple[object, ...]) -> None:
    if event in _CONNECTING:
        address = args[1]
        if not isinstance(address, tuple) or _is_here(address[0]):
            return
    elif event not in _RESOLVING or _is_here(args[0]):
        return
    with open(os.environ["OFFLINE_LOG"], "a", encoding="utf-8") as log:  # noqa: PTH123
        log.write(f"{event} {args}\n")
    raise PermissionError(f"{event}: there is no network here")


if "OFFLINE_LOG" in os.environ:
    sys.addaudithook(_refuse)
