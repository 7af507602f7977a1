import { createServer } from 'node:http'
import { LARGE } from './load.ts'

// An app for `run` that answers the requests of a load.

createServer(async (request, response) => {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  if (request.url?.endsWith('/echo')) response.end(Buffer.concat(pieces))
  else response.end(request.url?.endsWith('/large') ? LARGE : 'ok\n')
}).listen(Number(process.env['PORT']), '127.0.0.1')
