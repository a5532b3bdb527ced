"""How long the head of a request may be: uvicorn's parser takes headers without end, from anybody."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Bytes of a request's line and headers, about: the pieces that they begin and end in are not counted.
MOST_BYTES = 64 * 1024


class BoundedHeads(HttpToolsProtocol):
    """A connection that is closed where the head of a request goes on and on."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._in_head, self._head_bytes, self._come = True, 0, 0

    def data_received(self, data: bytes) -> None:
        """Parse what came; 400 where a head is longer than it may be and has not ended."""
        self._come = len(data)
        super().data_received(data)
        if not self._in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MOST_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The request's line and headers are longer than {MOST_BYTES} bytes.")

    def on_message_begin(self) -> None:
        """Count anew."""
        super().on_message_begin()
        self._begin()

    def on_headers_complete(self) -> None:
        """Count no more."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for the next head."""
        super().on_message_complete()
        self._begin()

    def _begin(self) -> None:
        # The piece that it begins in may hold the end of a body, too.
        self._in_head, self._head_bytes = True, -self._come
