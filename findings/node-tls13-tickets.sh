#!/bin/sh
# Node.js as a TLS 1.3 server sends no new session ticket on a resumed handshake.
#
# Observed with node 24.21.0 and 26.10.0 (both OpenSSL 3.5.8), server and client by node:tls:
# a full handshake brings two tickets, a resumed one none. A client that uses each ticket once, as
# RFC 8446 C.4 asks it to, therefore makes 4 full handshakes of 12. OpenSSL's own server, nginx and
# HAProxy send one ticket with each resumed handshake: such a client makes 1 full handshake of 12.
# node:tls has no option for it; a session store (newSession, resumeSession) does not help, because
# with stateless tickets off no TLS 1.3 handshake is resumed at all.
#
# Needs npm and openssl. Exits with 1 if one of this changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > tickets.mjs <<'SCRIPT'
import { constants } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import tls from 'node:tls'

const identity = { key: readFileSync('key.pem'), cert: readFileSync('cert.pem'), minVersion: 'TLSv1.3' }
const store = new Map()

function serverWith(options) {
  const server = tls.createServer({ ...identity, ...options }, socket => socket.on('error', () => {}).end('x'))
  server.on('newSession', (id, data, done) => done(store.set(id.toString('hex'), data) && undefined))
  server.on('resumeSession', (id, done) => done(null, store.get(id.toString('hex')) ?? null))
  return server
}

async function fullOf12(options, events) {
  const server = serverWith(options)
  if (!events) server.removeAllListeners('newSession').removeAllListeners('resumeSession')
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const tickets = []
  let full = 0
  for (let n = 0; n < 12; n += 1) {
    const { port } = server.address()
    const session = tickets.shift()
    const client = tls.connect({ port, host: '127.0.0.1', session, rejectUnauthorized: false })
    client.on('session', ticket => tickets.push(ticket)).resume()
    await once(client, 'secureConnect')
    if (!client.isSessionReused()) full += 1
    await once(client, 'close')
  }
  server.close()
  return full
}

const stateless = await fullOf12({}, false)
const stored = await fullOf12({ secureOptions: constants.SSL_OP_NO_TICKET }, true)
console.log(`node ${process.versions.node}, OpenSSL ${process.versions.openssl}: ${stateless} full of 12 by tickets, ${stored} by a session store`)
process.exit(stateless === 4 && stored === 12 ? 0 : 1)
SCRIPT

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
  -keyout key.pem -out cert.pem 2>/dev/null
for version in 24.21.0 26.10.0; do
  mkdir "$version"
  (cd "$version" && npm init -y >/dev/null && npm install --silent --ignore-scripts "node@$version" &&
    cd node_modules/node && node installArchSpecificPackage.js >/dev/null 2>&1)
  "$version/node_modules/node/bin/node" tickets.mjs
done
