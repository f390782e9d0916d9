"""Which bytes are one plain request, and which had better be parsed."""

import pytest

from service.api.raw import is_whole


def whole(data: bytes, most: int = 100) -> bool:
    return is_whole(data, b"POST /v1/decisions HTTP/1.1\r\n", most)


def request(*headers: bytes, body: bytes = b"{}", line: bytes = b"POST /v1/decisions HTTP/1.1") -> bytes:
    return b"\r\n".join((line, b"host: x", *headers)) + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    "data",
    [
        request(b"content-length: 2"),
        request(b"Content-Length:2"),
        request(b"content-length: 2", b"content-type: application/json"),
        request(b"Content-Type: Application/JSON; charset=utf-8", b"Content-Length: 2", b"accept: */*"),
        request(b"content-length: 0", body=b""),
        request(b"content-length: 6", body=b"\r\n\r\n{}"),
    ],
)
def test_a_sized_body_that_is_all_there_makes_a_whole_request(data: bytes) -> None:
    assert whole(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"POST /v1/decisions HTTP/1.1\r\n",
        request(b"content-length: 3"),
        request(b"content-length: 1"),
        request(b"content-length: 2") + request(b"content-length: 2"),
        request(),
        request(b"content-length: 2", b"content-length: 2"),
        request(b"content-length: 2", b"content-length : 3"),
        request(b"content-length: 2", b"content-length: 2, 3"),
        request(b"content-length: +2"),
        request(b"content-length: 2", b"transfer-encoding: chunked"),
        request(b"content-length: 2", b"Transfer-Encoding : chunked"),
        request(b"content-length: 2", b"connection: close"),
        request(b"content-length: 2", b"Expect: 100-continue"),
        request(b"content-length: 2", b"upgrade: websocket"),
        request(b"content-length: 2", b"content-type: text/plain"),
        request(b"content-length: 2", b"content-type: application/jsonlines"),
        request(b"content-length: 2", b"x: folded", b" over two lines"),
        request(b"content-length: 2", b"x: y\ntransfer-encoding: chunked"),
        request(b"content-length: 2", b"x: y\rtransfer-encoding: chunked"),
        request(b"content-length: 2", line=b"PUT /v1/decisions HTTP/1.1"),
        request(b"content-length: 2", line=b"POST /v1/decisions/batch HTTP/1.1"),
        request(b"content-length: 2", line=b"POST /v1/decisions?x=1 HTTP/1.1"),
        request(b"content-length: 2", line=b"POST /v1/decisions HTTP/1.0"),
        request(b"content-length: 200", body=b"x" * 200),
        request(b"content-length: 2", b"x: " + b"y" * 5_000),
    ],
)
def test_whatever_is_in_doubt_is_parsed(data: bytes) -> None:
    assert not whole(data)
