/** A configuration that uses every word there is. PEBBLE_CA: file of an authority. */
export const FULL = `
[server]
workers = 4
drain = "1m30s"
spool = { folder = "/var/spool", memory = "4KiB", memory_total = "1MiB", disk = "1GiB" }
resolver = ["10.0.0.2", "[::1]:5353", "fd00::1"]
overload = { loop_delay = "off", memory = "80%" }
[log]
level = "debug"
access = "/var/log/access.log"
format = "json"
[admin]
address = "0.0.0.0:9180"
token = "s3cret-s3cret-s3cret"
[acme]
directory = "https://127.0.0.1:14000/dir"
email = "admin@example.com"
folder = "certificates"
ca = "$\{PEBBLE_CA}"
challenges = ["http-01"]
key_type = "rsa"
external_account = { key_id = "kid-1", hmac_key = "c2VjcmV0" }
[tunnels.mail]
hosts = ["MAIL.example.com"]
listeners = ["web"]
upstream = "mail"
[upstreams.mail]
endpoints = ["mail:465"]
[listeners.web]
address = "[::]:443"
trusted_proxies = ["10.0.0.0/8", "::1"]
limits = { headers = "8KiB", header_count = 50, body = "off", connections = 5, streams = 7 }
tls = "auto"
http2 = "false"
proxy_protocol = true
timeouts = { handshake = "5s", header = "1s", body = "2s", keepalive = "3s", write = "4s", min_rate = 0 }
[listeners.local]
address = "unix:/run/web.sock"
h2c = true
[upstreams.app]
endpoints = ["app:8000", { address = "http://10.0.0.1:80/", weight = 2, backup = true }, "srv://_http._tcp.app.example", "unix:/run/app.sock", "[::1]:1", "uwsgi://app:3031", "uwsgi+unix:/run/app.sock2"]
server = "uwsgi"
balance = "hash"
hash_on = "header:X-User"
max_inflight = 4
endpoints_file = "/run/endpoints"
discovery = { interval = "1s", family = "both" }
adaptive = { mode = "enforce", min = 2, max = 50 }
abandoned = "close"
slow_start = "30s"
sticky = { cookie = "stay", secret = "0123456789abcdef", max_age = "1h" }
queue = { length = 0, timeout = "1s" }
health = { type = "http", path = "/ping?x=1", host = "example.com", headers = { X-Probe = "1" }, interval = "5s", timeout = "2s", rise = 1, fall = 2, expect = [200, 204] }
timeouts = { connect = "100ms", response = "1h", idle = "1m", tunnel = "2h" }
body = "spool"
read_ahead = "off"
tls = { server_name = "app.internal", verify = false }
proxy_protocol = "v2"
keepalive = { idle = "4s", max = 0 }
retry = { attempts = 3, budget = "10%", statuses = [502, 503] }
passive = { failures = 5, failure_rate = "80%", latency_factor = 4, eject = "30s", max_ejected = "25%", panic = "off" }
[upstreams.demo]
server = "uvicorn"
run = { command = ["node", "app.ts", "{socket}"], count = 3, protocol = "uwsgi", env = { MODE = "demo" } }
health = { type = "tcp" }
[routes.files]
hosts = ["EXAMPLE.com", "*.example.com."]
path = "/static/"
static = { root = ".", index = ["index.html", "index.htm"], internal = true, manifest = false, keep = "5m", compress = "false", cache_control = "max-age=60" }
hsts = "max-age=31536000; includeSubDomains"
redirect_https = true
[routes.app]
path = "/shop/"
strip_prefix = "/shop/"
script_name = "/store"
rewrite_answers = true
upstream = "app"
priority = "low"
canary = { upstream = "demo", share = "10%", header = "X-Try=1", cookie = "try=1" }
mirror = { upstream = "demo", share = "1%" }
error_pages = { 5xx = "LICENSE", 502 = "package.json" }
maintenance = { page = "LICENSE", retry_after = "90s", bypass = ["10.0.0.0/8"], bypass_cookie = "open=sesame-2026" }
[routes.demo]
hosts = ["demo.example.com"]
upstream = "demo"
`
