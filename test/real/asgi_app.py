"""A bare ASGI app: echo, upload, download, streaming, server-sent events. One process."""
import asyncio
import hashlib
import json
import os
from collections import defaultdict

MEBIBYTE = 1024 * 1024
# One semaphore a token: the stream waits on it, /signal/ releases it.
signals = defaultdict(lambda: asyncio.Semaphore(0))
disconnected = set()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["type"] != "http":
        return
    _, name, *rest = scope["path"].split("/")
    view = VIEWS.get(name)
    if view is None:
        return await answer(send, b"not found", status=404)
    await view(scope, receive, send, *rest)


async def lifespan(receive, send):
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def begin(send, status=200, fields=()):
    await send({"type": "http.response.start", "status": status, "headers": list(fields)})


async def more(send, body):
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def answer(send, body, status=200, kind=b"text/plain"):
    await begin(send, status, [(b"content-type", kind), (b"content-length", str(len(body)).encode())])
    await send({"type": "http.response.body", "body": body})


async def answer_json(send, value):
    await answer(send, json.dumps(value).encode(), kind=b"application/json")


async def pieces(receive):
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


async def echo(scope, receive, send, *rest):
    await answer_json(send, {
        "scheme": scope["scheme"],
        "client": scope["client"],
        "path": scope["raw_path"].decode(),
        "query": scope["query_string"].decode(),
        "headers": [[name.decode("latin1"), value.decode("latin1")] for name, value in scope["headers"]],
    })


async def upload(scope, receive, send, *rest):
    digest = hashlib.sha256()
    length = 0
    async for piece in pieces(receive):
        digest.update(piece)
        length += len(piece)
    names = [name.decode("latin1") for name, _ in scope["headers"]]
    await answer_json(send, {"sha256": digest.hexdigest(), "length": length, "header_names": names})


async def watched_upload(scope, receive, send, token, *rest):
    """Tells as soon as the first piece has come, long before the end."""
    length = 0
    async for piece in pieces(receive):
        length += len(piece)
        if length > 0:
            signals[token].release()
    await answer_json(send, {"length": length})


async def download(scope, receive, send, mebibytes, *rest):
    count = int(mebibytes)
    digest = hashlib.sha256()
    for number in range(count):
        digest.update(block(number))
    await begin(send, fields=[(b"x-sha256", digest.hexdigest().encode())])
    for number in range(count):
        await more(send, block(number))
    await send({"type": "http.response.body"})


def block(number):
    return hashlib.sha256(str(number).encode()).digest() * (MEBIBYTE // 32)


async def stream(scope, receive, send, token, *rest):
    """Three events; each but the first waits for /signal/TOKEN."""
    await begin(send, fields=[(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")])
    for number in range(3):
        if number > 0:
            await signals[token].acquire()
        await more(send, f"data: tick {number}\n\n".encode())
    await send({"type": "http.response.body"})


async def endless(scope, receive, send, token, *rest):
    """One event, then silence until the client has gone."""
    await begin(send, fields=[(b"content-type", b"text/event-stream")])
    await more(send, b"data: here\n\n")
    while (await receive())["type"] != "http.disconnect":
        pass
    disconnected.add(token)


async def signal(scope, receive, send, token, *rest):
    signals[token].release()
    await answer(send, b"ok")


async def wait(scope, receive, send, token, *rest):
    """Answers once the token has been signalled."""
    await signals[token].acquire()
    await answer(send, b"ok")


async def gone(scope, receive, send, token, *rest):
    await answer_json(send, token in disconnected)


async def pid(scope, receive, send, *rest):
    await answer(send, str(os.getpid()).encode())


VIEWS = {
    "echo": echo,
    "upload": upload,
    "watched-upload": watched_upload,
    "download": download,
    "stream": stream,
    "endless": endless,
    "signal": signal,
    "wait": wait,
    "gone": gone,
    "pid": pid,
}
