"""A narrow line to a server of this machine, for tests of what happens while something travels."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType

_BLOCK = 16 * 1024


class SlowLink:
    """Forwards connections to a port, at most `rate` bytes per second towards the server.

    Args:
        port: of the server.
        rate: bytes per second of all connections together.

    Attributes:
        url: of this end.
        sent: bytes that went to the server.
    """

    def __init__(self, port: int, rate: float) -> None:
        self._port, self._rate = port, rate
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.sent = 0

    def __enter__(self) -> SlowLink:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._port))
                except OSError:  # the server is away, and so is its client then
                    client.close()
                    continue
                threading.Thread(target=self._forward, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._forward, args=(server, client, False), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, slow: bool) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(_BLOCK):
                if slow:
                    with self._lock:
                        time.sleep(len(block) / self._rate)
                        self.sent += len(block)
                target.sendall(block)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
