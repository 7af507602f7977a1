import { createServer } from 'node:http'

// The app behind test/bench/memory.ts: `/big` is a long answer at the pace of whoever takes it, everything
// else a few bytes, once all of the body has come.

const PIECE = Buffer.alloc(64 * 1024, 'x')
const BIG_PIECES = 512

const server = createServer((request, answer) => {
  if (request.url !== '/big') {
    request.resume().on('end', () => answer.end('ok'))
    return
  }
  let left = BIG_PIECES
  answer.writeHead(200, { 'content-length': PIECE.length * BIG_PIECES })
  const more = () => {
    while (left > 0) {
      left -= 1
      if (!answer.write(PIECE)) return
    }
    answer.end()
  }
  answer.on('drain', more)
  more()
})
server.listen(Number(process.argv[2]), '127.0.0.1', 16_384)
