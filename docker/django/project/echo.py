"""A WebSocket at /ws/echo/ that sends back what it gets: plain ASGI, no further package."""
from urllib.parse import urlsplit


async def echo(scope, receive, send):
    await receive()  # websocket.connect
    if scope["path"] != "/ws/echo/" or not same_site(scope):
        await send({"type": "websocket.close", "code": 4403})
        return
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        kind = "text" if message.get("text") is not None else "bytes"
        await send({"type": "websocket.send", kind: message[kind]})


def same_site(scope):
    """Browsers let any page open a WebSocket, with the user's cookies: only our own pages may."""
    fields = dict(scope["headers"])
    origin = fields.get(b"origin")
    return origin is None or urlsplit(origin.decode("latin1")).netloc == fields.get(b"host", b"").decode("latin1")
