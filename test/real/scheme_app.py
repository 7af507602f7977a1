"""An ASGI app that builds URLs as frameworks do: by the scheme that its server tells it."""


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    host = dict(scope["headers"])[b"host"]
    base = scope["scheme"].encode() + b"://" + host
    secure = b"; Secure" if scope["scheme"] == "https" else b""
    if scope["path"] == "/docs":
        await answer(send, 307, b"", [(b"location", base + b"/docs/")])
        return
    page = b'<link rel="stylesheet" href="' + base + b'/site.css">'
    cookie = (b"set-cookie", b"token=1; HttpOnly; SameSite=Lax" + secure)
    await answer(send, 200, page, [(b"content-type", b"text/html"), cookie])


async def answer(send, status, body, fields):
    fields = [*fields, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})
