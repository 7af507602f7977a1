"""Says which view each of several readers finds for the path that the server hands over, however it got there."""
import posixpath
import re
from urllib.parse import urlsplit

from django.conf import settings

if not settings.configured:
    settings.configure(SECRET_KEY="only for tests", ALLOWED_HOSTS=["*"], ROOT_URLCONF="path_readers")

import django  # noqa: E402
from django.core.handlers.wsgi import get_path_info  # noqa: E402
from django.http import Http404  # noqa: E402
from django.urls import path, re_path, resolve  # noqa: E402

django.setup()

PREFIXES = ("api", "admin", "café")


def view(name):
    return lambda request, rest="": name


urlpatterns = [
    path("api/<path:rest>", view("api"), name="api"),
    re_path(r"^admin/", view("admin"), name="admin"),
    path("café/<path:rest>", view("café"), name="café"),
    path("api/", view("api"), name="api"),
    path("café/", view("café"), name="café"),
    re_path(r"(?s)^.*$", view("open"), name="open"),
]
MOUNTS = [(name, re.compile(f"^/{name}/(?P<path>.*)$")) for name in PREFIXES]


def by_django(text):
    try:
        return resolve(text).url_name
    except Http404:
        return "none"


def by_mount(text):
    """As Starlette's Mount and Router do it."""
    return next((name for name, pattern in MOUNTS if pattern.match(text)), "open")


def by_dispatcher(text):
    """As Werkzeug's DispatcherMiddleware does it: the longest mount that is a whole part of the path."""
    script = text
    while "/" in script:
        if script.strip("/") in PREFIXES and script != text:
            return script.strip("/")
        script = script.rsplit("/", 1)[0]
    return "open"


def by_resolving(text):
    """As code does that decodes first and then takes the dots away."""
    whole = posixpath.normpath(text) + ("/" if text.endswith(("/", "/.", "/..")) else "")
    return by_mount(re.sub("^//+", "/", whole))


def by_splitting(text):
    """As code does that takes the path for a URL."""
    return by_mount(urlsplit(text).path)


def views(text):
    readers = {
        "django": by_django,
        "mount": by_mount,
        "dispatcher": by_dispatcher,
        "resolving": by_resolving,
        "splitting": by_splitting,
    }
    found = []
    for name, reader in readers.items():
        try:
            found.append(f"{name}={reader(text)}")
        except ValueError:
            found.append(f"{name}=error")
    return " ".join(found).encode()


def wsgi(environ, start_response):
    body = views(get_path_info(environ))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    body = views(scope["path"])
    fields = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})
