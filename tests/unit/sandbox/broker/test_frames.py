"""AMQP frames in and out, without a socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pika import frame, spec

from ermpoll.sandbox.broker.frames import FRAME_MAX, Frames
from tests.helpers import loops


class _Transport:
    def set_write_buffer_limits(self, high: int) -> None:
        pass


class _Writer:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.transport = _Transport()
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False


def _frames(*chunks: bytes) -> tuple[Frames, _Writer]:
    reader, writer = asyncio.StreamReader(), _Writer()
    for chunk in chunks:
        reader.feed_data(chunk)
    reader.feed_eof()
    return Frames(reader, writer, lambda: None), writer  # type: ignore[arg-type]


def _read(*chunks: bytes) -> list[tuple[int, Any, bytes]]:
    async def run() -> list[tuple[int, Any, bytes]]:
        frames, _ = _frames(*chunks)
        return [item async for item in frames.arriving()]

    return loops.run(run())


def _begun(channel: int, size: int, exchange: str = "e") -> bytes:
    publish = frame.Method(channel, spec.Basic.Publish(exchange=exchange))
    header = frame.Header(channel, size, spec.BasicProperties())
    return bytes(publish.marshal() + header.marshal())


def _part(channel: int, body: bytes) -> bytes:
    return bytes(frame.Body(channel, body).marshal())


def test_bodies_of_channels_whose_frames_alternate_are_kept_apart() -> None:
    heard = _read(
        _begun(1, 4) + _begun(2, 4),
        _part(1, b"on") + _part(2, b"tw"),
        _part(2, b"o!") + _part(1, b"e!"),
    )

    assert [(channel, body) for channel, _, body in heard] == [
        (2, b"two!"),
        (1, b"one!"),
    ]


def test_a_message_without_a_body_is_whole_with_its_header() -> None:
    heard = _read(_begun(1, 0))

    assert [(channel, body) for channel, _, body in heard] == [(1, b"")]


def test_a_message_that_is_not_whole_never_arrives() -> None:
    close = frame.Method(1, spec.Channel.Close(0, "", 0, 0)).marshal()

    heard = _read(_begun(1, 4) + _part(1, b"on") + close, _part(1, b"e!"))

    assert [type(method) for _, method, _ in heard] == [spec.Channel.Close]


def test_a_body_that_nobody_began_is_passed_over() -> None:
    assert _read(_part(1, b"what"), frame.Heartbeat().marshal()) == []


@pytest.mark.parametrize("size", [0, 1, FRAME_MAX - 8, FRAME_MAX - 7, 3 * FRAME_MAX])
def test_what_is_sent_stands_in_frames_that_are_not_too_large(size: int) -> None:
    async def run() -> bytes:
        frames, writer = _frames()
        frames.send(1, spec.Basic.Deliver("t", 1, False, "e", ""), b"x" * size)
        return writer.written

    data, sizes, body = loops.run(run()), [], b""
    while data:
        used, item = frame.decode_frame(data)
        sizes.append(used)
        data = data[used:]
        if isinstance(item, frame.Body):
            body += item.fragment

    assert body == b"x" * size
    assert max(sizes) <= FRAME_MAX
