import { HUFFMAN_CODES, HUFFMAN_LENGTHS } from './hpack-tables.ts'

// A step takes four bits: no code is shorter than five, so it gives one byte at most. States are the inner
// nodes of the code's tree, numbered in sixteens; a step is the next state, whether it gives a byte, and
// which.
const STATE = 0xfff
const GIVES = 0x1000
const SYMBOL_SHIFT = 16
/** EOS was read (RFC 7541 5.2). */
const BROKEN = 0x2000

const { steps: STEPS, mayEnd: MAY_END } = buildSteps()

/** Most bytes that this many bytes of Huffman code can stand for. */
export function unpackedBound(bytes: number): number {
  return (bytes * 8) / 5 + 1
}

/**
 * Undoes the Huffman code of bytes[start, end) into `out`, and tells how many bytes that gave; undefined when
 * it is broken: EOS in it, or padding that is longer than seven bits or not of ones (RFC 7541 5.2). Hot.
 */
export function unpackHuffman(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
): number | undefined {
  let state = 0
  let length = 0
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] as number
    const high = STEPS[state | (byte >> 4)] as number
    if ((high & GIVES) !== 0) out[length++] = high >> SYMBOL_SHIFT
    const low = STEPS[(high & STATE) | (byte & 15)] as number
    if ((low & GIVES) !== 0) out[length++] = low >> SYMBOL_SHIFT
    if (((high | low) & BROKEN) !== 0) return undefined
    state = low & STATE
  }
  return MAY_END[state >> 4] === 1 ? length : undefined
}

/** An inner node of the tree: a node, a byte, or undefined for EOS behind each of its bits. */
type Node = [Node | number | undefined, Node | number | undefined]

function buildSteps(): { steps: Uint32Array; mayEnd: Uint8Array } {
  const root = buildTree()
  const nodes = innerNodes(root)
  const numbers = new Map(nodes.map((node, number) => [node, number]))
  const steps = new Uint32Array(nodes.length * 16)
  for (const [number, node] of nodes.entries()) {
    for (let nibble = 0; nibble < 16; nibble += 1)
      steps[number * 16 + nibble] = stepOf(root, node, nibble, numbers)
  }
  const mayEnd = new Uint8Array(nodes.length)
  let padding: Node | number | undefined = root
  for (let bits = 0; bits < 8 && typeof padding === 'object'; bits += 1) {
    mayEnd[numbers.get(padding) as number] = 1
    padding = padding[1]
  }
  return { steps, mayEnd }
}

function buildTree(): Node {
  const root: Node = [undefined, undefined]
  for (const [symbol, length] of HUFFMAN_LENGTHS.entries()) {
    const code = HUFFMAN_CODES[symbol] as number
    let node = root
    for (let bit = length - 1; bit > 0; bit -= 1) {
      const side = (code >> bit) & 1
      const next = node[side]
      if (typeof next === 'object') node = next
      else {
        const made: Node = [undefined, undefined]
        node[side] = made
        node = made
      }
    }
    node[code & 1] = symbol
  }
  return root
}

/** All inner nodes, the root first. */
function innerNodes(node: Node): Node[] {
  return [node, ...node.flatMap(child => (typeof child === 'object' ? innerNodes(child) : []))]
}

function stepOf(root: Node, from: Node, nibble: number, numbers: ReadonlyMap<Node, number>): number {
  let node = from
  let given = 0
  for (let bit = 3; bit >= 0; bit -= 1) {
    const next = node[(nibble >> bit) & 1]
    if (next === undefined) return BROKEN
    if (typeof next === 'object') node = next
    else {
      given = GIVES | (next << SYMBOL_SHIFT)
      node = root
    }
  }
  return given | ((numbers.get(node) as number) << 4)
}
