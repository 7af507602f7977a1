import hashlib
import os
import threading
import time
from collections import defaultdict
from urllib.parse import quote

from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.template import engines
from django.views.decorators.csrf import csrf_exempt

MEBIBYTE = 1024 * 1024
PATIENCE = 20
FORM = """<!doctype html><title>Form</title>
<form method="post">{% csrf_token %}<input name="word"><button>Send</button></form>"""

# One semaphore a token: `stream` waits on it, `signal` releases it. Needs one process with threads.
signals = defaultdict(lambda: threading.Semaphore(0))


def page(request):
    response = HttpResponse("<!doctype html><title>Real Django</title><h1>Grüße</h1>")
    response.set_cookie("first", "1")
    response.set_cookie("second", "2", httponly=True)
    return response


def healthz(request):
    return HttpResponse("ok")


@csrf_exempt
def echo(request):
    headers = {k: v for k, v in request.META.items() if k.startswith(("HTTP_", "CONTENT_"))}
    return JsonResponse({
        "method": request.method,
        "scheme": request.scheme,
        "host": request.get_host(),
        "url": request.build_absolute_uri(),
        "query": request.META.get("QUERY_STRING", ""),
        "script_name": request.META.get("SCRIPT_NAME", ""),
        "path_info": request.path_info,
        "protocol": request.META.get("SERVER_PROTOCOL", ""),
        "port": request.get_port(),
        "remote_addr": request.META.get("REMOTE_ADDR", ""),
        "headers": headers,
    })


def form(request):
    if request.method == "POST":
        return JsonResponse({"word": request.POST["word"], "scheme": request.scheme, "host": request.get_host()})
    return HttpResponse(engines["django"].from_string(FORM).render({}, request))


@csrf_exempt
def upload(request):
    """Reads the raw body piece by piece."""
    digest = hashlib.sha256()
    length = 0
    while piece := request.read(65536):
        digest.update(piece)
        length += len(piece)
    return JsonResponse({
        "sha256": digest.hexdigest(),
        "length": length,
        "content_length": request.META.get("CONTENT_LENGTH", ""),
    })


@csrf_exempt
def files(request):
    """Lets Django parse a multipart form."""
    sent = request.FILES["file"]
    digest = hashlib.sha256()
    for piece in sent.chunks():
        digest.update(piece)
    return JsonResponse({"name": sent.name, "sha256": digest.hexdigest(), "length": sent.size})


def blocks(mebibytes):
    """Bytes that nobody can take for others: no block is like its neighbour."""
    for number in range(mebibytes):
        yield hashlib.sha256(str(number).encode()).digest() * (MEBIBYTE // 32)


def download(request, mebibytes):
    digest = hashlib.sha256()
    for block in blocks(mebibytes):
        digest.update(block)
    response = StreamingHttpResponse(blocks(mebibytes), content_type="application/octet-stream")
    response["X-Sha256"] = digest.hexdigest()
    if "length" in request.GET:
        response["Content-Length"] = str(mebibytes * MEBIBYTE)
    return response


def stream(request, token):
    """Three lines; each but the first waits for a call of `signal`."""
    def lines():
        for number in range(3):
            if number > 0:
                signals[token].acquire(timeout=PATIENCE)
            yield f"line {number}\n"
    return StreamingHttpResponse(lines(), content_type="text/plain")


def signal(request, token):
    signals[token].release()
    return HttpResponse("ok")


@csrf_exempt
def hold(request, token):
    """Says in a file who holds this request, and ends when that file is gone."""
    path = os.path.join(os.environ["HOLD_FOLDER"], token)
    with open(path + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(path + ".new", path)
    deadline = time.monotonic() + PATIENCE
    while os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.01)
    return HttpResponse("released")


@csrf_exempt
def pid(request):
    return HttpResponse(str(os.getpid()))


def wait_for(path):
    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.01)


def drip(request, token):
    """A first line at once, the second when a file of this name is there. Works with any number of processes."""
    def lines():
        yield "line 0\n"
        wait_for(os.path.join(os.environ["HOLD_FOLDER"], token))
        yield "line 1\n"
    events = "events" in request.GET
    response = StreamingHttpResponse(lines(), content_type="text/event-stream" if events else "text/plain")
    if "unbuffered" in request.GET:
        response["X-Accel-Buffering"] = "no"
    return response


def midfail(request):
    """An app that breaks in the middle of its answer."""
    def lines():
        yield "x" * 1000
        raise RuntimeError("asked for")
    response = StreamingHttpResponse(lines(), content_type="text/plain")
    if "length" in request.GET:
        response["Content-Length"] = "5000"
    return response


def protected(request, name):
    """Leaves the sending of a file to the server in front."""
    response = HttpResponse(content_type="")
    response["X-Accel-Redirect"] = "/internal/" + quote(name)
    response["Content-Disposition"] = 'attachment; filename="for-you.txt"'
    response.set_cookie("seen", "1")
    return response


def sendfile(request, name):
    response = HttpResponse(content_type="")
    response["X-Sendfile"] = os.path.join(os.environ["PROTECTED_FOLDER"], name)
    return response
