/**
 * Random numbers, uniform in [0, 1), that are the same for the same seed and stream: sfc32 (Chris
 * Doty-Humphrey, PractRand). Each use has a stream of its own, so that two policies meet the same arrivals
 * whatever they draw themselves.
 */
export function randomStream(seed: number, stream: string): () => number {
  let a = hashOf(stream)
  let b = seed | 0
  let c = Math.floor(seed / 2 ** 32) | 0
  let counter = 1
  const next = () => {
    const sum = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return (sum >>> 0) / 2 ** 32
  }
  // The first numbers of neighbouring seeds are alike.
  for (let i = 0; i < 16; i += 1) next()
  return next
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}
