"""A proxy that counts what goes through it: by method, status and bytes.

``python -m tests.bench.proxy PORT`` stands before a server on this machine and prints
its own port. ``GET /counts`` answers what was counted since the last such request.
It reads heads and lengths only, and handles one request at a time per connection.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
from collections import Counter

COUNTS = b"/counts"
_END = b"\r\n\r\n"
_LIMIT = 1 << 26


class Proxy:
    """Counts requests on their way to a server.

    Attributes
    ----------
    counts
        ``"PUT 200"`` to how many; ``"sent"`` and ``"received"`` in bytes.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.counts: Counter[str] = Counter()

    async def serve(self) -> asyncio.Server:
        """Listen on a free port."""
        return await asyncio.start_server(self._client, "127.0.0.1", 0, limit=_LIMIT)

    async def _client(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        server = None
        try:
            while head := await _head(reader):
                if head.split(b" ", 2)[1] == COUNTS:
                    writer.write(self._told())
                    continue
                if server is None:
                    server = await asyncio.open_connection(
                        "127.0.0.1", self._port, limit=_LIMIT
                    )
                if not await self._exchange(head, reader, writer, server):
                    return
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            if server is not None:
                server[1].close()

    async def _exchange(
        self,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> bool:
        """Pass a request on and its answer back; False when there was none."""
        method = head.split(b" ", 1)[0].decode()
        body = await reader.readexactly(_length(head))
        server[1].write(head + body)
        answer = await _head(server[0])
        if not answer:
            self.counts[f"{method} lost"] += 1
            return False
        status = answer.split(b" ", 2)[1].decode()
        bare = method == "HEAD" or status in ("204", "304")
        content = b"" if bare else await server[0].readexactly(_length(answer))
        self.counts[f"{method} {status}"] += 1
        self.counts["sent"] += len(head) + len(body)
        self.counts["received"] += len(answer) + len(content)
        writer.write(answer + content)
        await writer.drain()
        return True

    def _told(self) -> bytes:
        body = json.dumps(self.counts).encode()
        self.counts.clear()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(_END)
    except asyncio.IncompleteReadError:
        return b""


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def counted(port: int) -> Counter[str]:
    """Ask a proxy what it counted since it was last asked."""
    connection = http.client.HTTPConnection("localhost", port, timeout=10)
    connection.request("GET", COUNTS.decode())
    counts = Counter(json.loads(connection.getresponse().read()))
    connection.close()
    return counts


async def _main(port: int) -> None:
    server = await Proxy(port).serve()
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
