"""The bytes of a connection to the broker: methods in and out, with their bodies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from pika import frame, spec
from pika.amqp_object import Method

#: Seconds between the heartbeats that each side may expect.
HEARTBEAT_S = 30
#: The largest frame, with its head and end.
FRAME_MAX = 131072
_HEADER = b"AMQP\x00\x00\x09\x01"
_AROUND_FRAME = 8
#: A client that leaves this many bytes unread gets no more.
_UNSENT_MAX = 1 << 20


@dataclass(slots=True)
class _Content:
    """A method whose body is on its way."""

    method: Method
    #: Bytes that are still to come; None: their number is as well.
    missing: int | None = None
    body: bytes = b""


class Frames:
    """Both ways of one connection.

    Parameters
    ----------
    relieved
        Called when the client reads again after `is_congested` was True.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        relieved: Callable[[], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        writer.transport.set_write_buffer_limits(high=_UNSENT_MAX)
        self._relieved = relieved
        self._relief: asyncio.Task[None] | None = None
        #: What each channel has begun to send.
        self._contents: dict[int, _Content] = {}

    async def greet(self) -> bool:
        """Read the protocol header; False when it is of another protocol."""
        if await self._reader.readexactly(len(_HEADER)) == _HEADER:
            return True
        self._writer.write(_HEADER)
        return False

    async def arriving(self) -> AsyncIterator[tuple[int, Method, bytes]]:
        """Yield channel, method and body of what comes, until the connection ends."""
        data = b""
        while not self._writer.is_closing():
            chunk = await self._reader.read(65536)
            if not chunk:
                return
            data += chunk
            while data:
                used, item = frame.decode_frame(data)
                if item is None:
                    break
                data = data[used:]
                whole = self._take(item)
                if whole is not None:
                    yield item.channel_number, *whole

    def _take(self, item: Any) -> tuple[Method, bytes] | None:
        """Take a frame in; return the method and body that it completes."""
        channel = item.channel_number
        if isinstance(item, frame.Method):
            # Whatever else it was about to send, the channel has given up.
            self._contents.pop(channel, None)
            if not isinstance(item.method, spec.Basic.Publish):
                return item.method, b""
            self._contents[channel] = _Content(item.method)
            return None
        content = self._contents.get(channel)
        if content is None:
            return None
        if isinstance(item, frame.Header):
            content.missing = item.body_size
        elif isinstance(item, frame.Body) and content.missing is not None:
            content.body += item.fragment
            content.missing -= len(item.fragment)
        if content.missing is None or content.missing > 0:
            return None
        del self._contents[channel]
        return content.method, content.body

    def send(self, channel: int, method: Method, body: bytes | None = None) -> None:
        """Send one method, and the body of one that has one."""
        self._writer.write(frame.Method(channel, method).marshal())
        if body is None:
            return
        properties = spec.BasicProperties()
        self._writer.write(frame.Header(channel, len(body), properties).marshal())
        size = FRAME_MAX - _AROUND_FRAME
        for start in range(0, len(body), size):
            part = body[start : start + size]
            self._writer.write(frame.Body(channel, part).marshal())

    async def heartbeats(self) -> None:
        """Send heartbeats, for as long as it is let."""
        while True:
            await asyncio.sleep(HEARTBEAT_S / 2)
            self._writer.write(frame.Heartbeat().marshal())

    def is_congested(self) -> bool:
        """Return True while the client does not read what was sent to it."""
        if self._writer.transport.get_write_buffer_size() <= _UNSENT_MAX:
            return False
        if self._relief is None or self._relief.done():
            loop = asyncio.get_running_loop()
            self._relief = loop.create_task(self._wait_for_relief())
        return True

    async def _wait_for_relief(self) -> None:
        try:
            await self._writer.drain()
        except OSError:
            return
        self._relief = None
        self._relieved()

    def close(self) -> None:
        """End the connection once all is sent."""
        if self._relief is not None:
            self._relief.cancel()
        self._writer.close()

    def abort(self) -> None:
        """Break the connection."""
        self._writer.transport.abort()
