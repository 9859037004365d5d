"""Passes connections on to a server, and can cut them: the network between client and service."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Relay:
    """Connections to ``url`` lead to the port ``target``, which a test may change. ``allowance``:
    after so many bytes from the server, the connection that carries them is cut, once; None:
    never."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.allowance: int | None = None
        self.cuts = 0
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Cut every connection."""
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Refuse connections, and cut those that there are."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            threading.Thread(target=self._connect, args=(client, server), daemon=True).start()

    def _connect(self, client: socket.socket, server: socket.socket) -> None:
        self._open |= {client, server}
        with client, server:
            back = threading.Thread(target=self._pass_on, args=(server, client), daemon=True)
            back.start()
            self._pass_on(client, server)
            back.join()
        self._open -= {client, server}

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if source.getpeername()[1] == self.target and self.allowance is not None:
                    if self.allowance < len(data):
                        sink.sendall(data[: self.allowance])
                        self.allowance = None
                        self.cuts += 1
                        break
                    self.allowance -= len(data)
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay(url: str) -> Iterator[Relay]:
    """A relay to the server at a URL; it is closed afterwards."""
    found = Relay(int(url.rpartition(":")[2]))
    try:
        yield found
    finally:
        found.close()
