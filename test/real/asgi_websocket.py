"""An ASGI app of WebSockets: /echo, /refuse, /large/BYTES, /facts, /gone/TOKEN. What asks for a page gets one."""
import json

# Close codes by token, as the app was told them.
closed = {}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    _, name, *rest = scope["path"].split("/")
    await {"http": page, "websocket": socket}[scope["type"]](scope, receive, send, name, *rest)


async def page(scope, receive, send, name, token="", *rest):
    body = json.dumps(closed.get(token)).encode()
    fields = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def socket(scope, receive, send, name, token="", *rest):
    assert (await receive())["type"] == "websocket.connect"
    if name == "refuse":
        return await send({"type": "websocket.close"})
    offered = scope["subprotocols"]
    await send({"type": "websocket.accept", "subprotocol": "chat" if "chat" in offered else None})
    if name == "facts":
        await send({"type": "websocket.send", "text": json.dumps(facts(scope))})
    if name == "large":
        await send({"type": "websocket.send", "bytes": b"x" * int(token)})
    await echo(receive, send, token)


async def echo(receive, send, token):
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            closed[token] = message.get("code")
            return
        text = message.get("text")
        if text == "close":
            return await send({"type": "websocket.close", "code": 4001})
        if text is not None:
            await send({"type": "websocket.send", "text": text})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})


def facts(scope):
    return {
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "headers": [[name.decode("latin1"), value.decode("latin1")] for name, value in scope["headers"]],
    }
