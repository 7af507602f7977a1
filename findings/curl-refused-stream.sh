#!/bin/sh
# curl repeats a request whose stream was refused five times, over a new connection each time.
#
# Observed with curl and libcurl 7.88.1 (Debian 12, nghttp2 1.52.0), server by node:http2: one GET whose
# stream is closed with REFUSED_STREAM (RFC 9113 8.7) makes 6 connections with one stream each, a POST
# with a body as well; then curl gives up with exit code 56. The first connection is sound and would take
# further streams: the server has sent no GOAWAY. So a server that refuses streams because it is short of
# connections gets six for one.
#
# Needs Debian 12 (apt, dpkg) and node. Exits with 1 if one of this changes.
set -eu
version=7.88.1-10+deb12u15
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download "curl=$version" "libcurl4=$version" 2>/dev/null >&2
for package in ./*.deb; do dpkg -x "$package" root; done
libraries=$(dirname "$(find root -name 'libcurl.so.4' | head -n 1)")

cat > refuse.mjs <<'SCRIPT'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { constants, createServer } from 'node:http2'

const [curl, libraries] = process.argv.slice(2)
let connections = 0
let streams = 0
const server = createServer()
server.on('session', () => (connections += 1))
server.on('stream', stream => {
  streams += 1
  stream.on('error', () => {})
  stream.close(constants.NGHTTP2_REFUSED_STREAM)
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')

const run = (...args) =>
  new Promise(done => {
    const env = { ...process.env, LD_LIBRARY_PATH: libraries }
    execFile(curl, args, { env }, (error, stdout) => done({ code: error?.code ?? 0, stdout }))
  })

let same = true
for (const more of [[], ['--data', 'body']]) {
  connections = 0
  streams = 0
  const url = `http://127.0.0.1:${server.address().port}/`
  const { code } = await run('--silent', '--http2-prior-knowledge', '--output', '/dev/null', ...more, url)
  console.log(`${more.length === 0 ? 'GET' : 'POST'}: ${connections} connections, ${streams} streams, exit code ${code}`)
  same &&= connections === 6 && streams === 6 && code === 56
}
console.log((await run('--version')).stdout.split('\n')[0])
process.exit(same ? 0 : 1)
SCRIPT
node refuse.mjs "$folder/root/usr/bin/curl" "$folder/$libraries"
