// What others call a thing, and how it is written here.

/** Keys and sections of nginx, HAProxy and Caddy. */
const KEYS: Readonly<Record<string, string>> = {
  alias: 'static = { root = "/srv/site/static" } in a route',
  backend: '[upstreams.NAME]',
  bind: 'address = "0.0.0.0:8080" in [listeners.NAME]',
  client_max_body_size: 'limits = { body = "100MiB" } in [listeners.NAME]',
  client_body_timeout: 'timeouts = { body = "30s" } in [listeners.NAME]',
  client_header_timeout: 'timeouts = { header = "10s" } in [listeners.NAME]',
  fail_timeout: 'passive = { eject = "10s" } in [upstreams.NAME]',
  frontend: '[listeners.NAME] and [routes.NAME]',
  keepalive_timeout: 'timeouts = { keepalive = "75s" } in [listeners.NAME]',
  large_client_header_buffers: 'limits = { headers = "32KiB" } in [listeners.NAME]',
  listen: 'address = "0.0.0.0:8080" in [listeners.NAME]',
  location: 'path = "/" in [routes.NAME]',
  max_conns: 'max_inflight = 8 in [upstreams.NAME]',
  max_fails: 'passive = { failures = 3 } in [upstreams.NAME]',
  maxconn: 'max_inflight = 8 in [upstreams.NAME], or limits = { connections = 10000 } in [listeners.NAME]',
  proxy_connect_timeout: 'timeouts = { connect = "2s" } in [upstreams.NAME]',
  proxy_pass: 'upstream = "NAME" in the route, and endpoints = ["127.0.0.1:8000"] in [upstreams.NAME]',
  proxy_read_timeout: 'timeouts = { response = "60s", idle = "30s" } in [upstreams.NAME]',
  reverse_proxy: 'upstream = "NAME" in the route, and endpoints = ["127.0.0.1:8000"] in [upstreams.NAME]',
  root: 'static = { root = "/srv/site" } in a route',
  ssl_certificate: 'tls = { certificate = "site.pem", key = "site.key" } in [listeners.NAME]',
  ssl_client_certificate: 'mtls = { ca = "clients.pem" } in [listeners.NAME]',
  server_name: 'hosts = ["www.example.com"] in [routes.NAME]',
  servers: 'endpoints = ["127.0.0.1:8000"] in [upstreams.NAME]',
  set_real_ip_from: 'trusted_proxies = ["10.0.0.0/8"] in [listeners.NAME]',
  try_files: 'static = { root = "/srv/site" } in a route',
  worker_processes: 'workers = "auto" in [server]',
}

/** Words that stand for one of ours as a value. */
const VALUES: Readonly<Record<string, string>> = {
  leastconn: 'least-inflight',
  least_conn: 'least-inflight',
  random: 'p2c',
  ip_hash: 'hash',
  source: 'hash',
}

/** `here it is written …`, or undefined: ready to be a problem's hint for an unknown key or section. */
export function keyHabit(key: string): string | undefined {
  return Object.hasOwn(KEYS, key) ? `here that is ${KEYS[key]}` : undefined
}

/** Our word for a value of theirs, if it is one of `words`. */
export function valueHabit(value: string, words: readonly string[]): string | undefined {
  const ours = Object.hasOwn(VALUES, value) ? VALUES[value] : undefined
  return ours !== undefined && words.includes(ours) ? `here that is ${JSON.stringify(ours)}` : undefined
}
