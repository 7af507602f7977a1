#!/bin/sh
# Node.js on Linux: process.memoryUsage() needs a free descriptor, and throws EMFILE where none is left.
#
# Observed with node 24.11.1 (the package "node" of npm, linux-x64): with all descriptors of the process
# in use, process.memoryUsage() and process.memoryUsage.rss() throw an Error of code EMFILE whose syscall is
# uv_resident_set_memory, in worker threads too. v8.getHeapStatistics() and process.resourceUsage() answer as ever.
#
# Resident memory is read out of a file below /proc, which is opened at each call; the figures of the heap,
# which need no file, are given by the same call and go with it. So a server that looks at its memory from time to
# time, on a timer, gets an exception in just the hour in which it is short of descriptors. prom-client's default
# metrics call it at each scrape and wrap it; a timer of one's own has to.
#
# Needs npm. Exits with 1 if one of this changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund node@24.11.1 >/dev/null

cat > look.cjs <<'JS'
const { openSync, closeSync } = require('node:fs')
const { getHeapStatistics } = require('node:v8')
const { Worker, isMainThread, workerData } = require('node:worker_threads')

function trial(call) {
  try {
    return call() > 0 ? 'answers' : 'answers nothing'
  } catch (error) {
    return `${error.code} ${error.syscall}`
  }
}

function look() {
  return [
    trial(() => process.memoryUsage().heapUsed),
    trial(() => process.memoryUsage.rss()),
    trial(() => getHeapStatistics().used_heap_size),
    trial(() => process.resourceUsage().maxRSS),
  ].join(', ')
}

if (isMainThread) {
  const done = new Int32Array(new SharedArrayBuffer(4))
  const texts = []
  const worker = new Worker(__filename, { workerData: done })
  worker.on('message', text => {
    texts.push(text)
    if (text === 'ready') {
      const taken = []
      try {
        for (;;) taken.push(openSync('/dev/null'))
      } catch (error) {
        texts.push(error.code)
      }
      const main = look()
      Atomics.store(done, 0, 1)
      Atomics.notify(done, 0)
      worker.once('exit', () => {
        for (const fd of taken) closeSync(fd)
        console.log(`main: ${main}`)
        console.log(`worker: ${texts.at(-1)}`)
        console.log(`again: ${look()}`)
      })
    }
  })
} else {
  const { parentPort } = require('node:worker_threads')
  look()
  parentPort.postMessage('ready')
  Atomics.wait(workerData, 0, 0)
  parentPort.postMessage(look())
}
JS

ulimit -n 256
./node_modules/.bin/node look.cjs > seen.txt
cat seen.txt
none='EMFILE uv_resident_set_memory, EMFILE uv_resident_set_memory, answers, answers'
grep -qx "main: $none" seen.txt
grep -qx "worker: $none" seen.txt
grep -qx 'again: answers, answers, answers, answers' seen.txt
