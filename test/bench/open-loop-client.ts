import { Agent, request } from 'node:http'
import type { OpenLoopOptions, Sent } from './open-loop.ts'

// The process behind `runOpenLoop`: options as JSON in its argument, one JSON list of what it sent on stdout.

const options = JSON.parse(process.argv[2] ?? '') as OpenLoopOptions
const agent = new Agent({ keepAlive: true, scheduling: 'lifo', maxFreeSockets: 20_000 })
const sent: Sent[] = []
const dues = duesOf(options)
const startMs = performance.now()
const now = () => performance.now() - startMs
let next = 0

/** A small generator of random numbers with a seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), state | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}

/** When each request is due, in order. */
function duesOf({ arrivals, perSecond, durationMs, seed }: OpenLoopOptions): readonly number[] {
  const random = randomFrom(seed)
  const gapMs = 1000 / perSecond
  const dues: number[] = []
  for (let dueMs = 0; dueMs < durationMs; ) {
    dues.push(dueMs)
    dueMs += arrivals === 'even' ? gapMs : -Math.log(1 - random()) * gapMs
  }
  return dues
}

function sendDue(): void {
  for (let dueMs = dues[next]; dueMs !== undefined && dueMs <= now(); dueMs = dues[next]) {
    next += 1
    send(dueMs)
  }
  const dueMs = dues[next]
  if (dueMs === undefined) setTimeout(giveUp, options.patienceMs).unref()
  else setTimeout(sendDue, Math.max(0, dueMs - now()))
}

const open = new Map<number, { readonly dueMs: number; readonly lateMs: number }>()

function send(dueMs: number): void {
  const id = next
  open.set(id, { dueMs, lateMs: now() - dueMs })
  const asking = request({ port: options.port, host: '127.0.0.1', agent }, answer => {
    answer.resume()
    answer.once('close', () => end(id, answer.complete ? (answer.statusCode ?? 0) : 0))
  })
  asking.once('error', () => end(id, 0))
  asking.end()
}

function end(id: number, status: number): void {
  const asked = open.get(id)
  if (asked === undefined) return
  open.delete(id)
  sent.push({ ...asked, endMs: now(), status })
  if (sent.length === dues.length) finish()
}

function giveUp(): void {
  for (const id of open.keys()) end(id, 0)
}

function finish(): void {
  process.stdout.write(JSON.stringify(sent), () => process.exit(0))
}

sendDue()
