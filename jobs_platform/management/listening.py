"""The web's listening socket. `dev` holds it, so that a restarting web process refuses nobody."""

from __future__ import annotations

import errno
import socket

from jobs_platform.management.jobs_command import CommandFailure, UsageError

HOST = "127.0.0.1"
FIRST_PORT = 8000
_TRIED_PORTS = 100


def listen(port: int | None) -> socket.socket:
    """A socket on `port`, or on the first free one from 8000 on; 0 is any."""
    if port is not None:
        return _listen(port)
    for candidate in range(FIRST_PORT, FIRST_PORT + _TRIED_PORTS):
        try:
            return _listen(candidate)
        except CommandFailure:
            continue
    last = FIRST_PORT + _TRIED_PORTS - 1
    message = f"No port between {FIRST_PORT} and {last} is free on {HOST}. Choose one with --port."
    raise CommandFailure("port_in_use", message)


def _listen(port: int) -> socket.socket:
    if not 0 <= port <= 65_535:
        raise UsageError(f"--port {port} is not a port: they go from 1 to 65535.")
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise _refusal(port, error) from error
    return listening


def _refusal(port: int, error: OSError) -> CommandFailure:
    advice = "Choose another with --port, or leave it out: a free one is found then."
    if error.errno == errno.EADDRINUSE:
        return CommandFailure("port_in_use", f"Port {port} is in use on {HOST}. {advice}")
    reason = error.strerror or str(error)
    return CommandFailure(
        "port_refused", f"Port {port} cannot be used on {HOST} ({reason}). {advice}"
    )
