-- A request head as a browser sends it: 16 fields, about 700 bytes. Set before the first request, so that wrk
-- builds the text once.
wrk.headers["Connection"] = os.getenv("BENCH_CONNECTION") or "keep-alive"
wrk.headers["Cache-Control"] = "max-age=0"
wrk.headers["sec-ch-ua"] = '"Chromium";v="142", "Not_A Brand";v="99"'
wrk.headers["sec-ch-ua-mobile"] = "?0"
wrk.headers["sec-ch-ua-platform"] = '"Linux"'
wrk.headers["Upgrade-Insecure-Requests"] = "1"
wrk.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
wrk.headers["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
wrk.headers["Sec-Fetch-Site"] = "same-origin"
wrk.headers["Sec-Fetch-Mode"] = "navigate"
wrk.headers["Sec-Fetch-User"] = "?1"
wrk.headers["Sec-Fetch-Dest"] = "document"
wrk.headers["Accept-Encoding"] = "gzip, deflate, br, zstd"
wrk.headers["Accept-Language"] = "en-GB,en;q=0.9"
wrk.headers["Cookie"] = "csrftoken=Zb1cU8n5o3WqY7d0Rk2mT6vX4sL9pA1e; sessionid=k3v9x2m7q1t5r8w4y6z0b2c4d6f8g0h1; theme=dark; tz=Europe/Lisbon"

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"micros":%d,"p50Us":%d,"p99Us":%d,"failed":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
