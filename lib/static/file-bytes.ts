import { type BigIntStats, read } from 'node:fs'
import { promisify } from 'node:util'
import { closeQuietly, type Opened, openInside, statOpen } from './open-file.ts'

/** What stood on the disk at one moment. */
export interface Loaded {
  readonly stat: BigIntStats
  /** undefined where it was not read, or changed while it was. */
  readonly body: Buffer | undefined
}

type OpenedFile = Opened & { readonly kind: 'file' }

const readFd = promisify(read)

/** The stat of an open file, and its body if it is no larger than `maxBytes`; closes it. */
export async function takeIn({ fd, stat }: OpenedFile, maxBytes: number): Promise<Loaded> {
  try {
    return { stat, body: stat.size <= maxBytes ? await readSettled(fd, stat) : undefined }
  } finally {
    closeQuietly(fd)
  }
}

/** The same for a name below `root`; undefined if there is no such file. Throws what `openInside` throws. */
export async function takeInName(
  root: string,
  relative: string,
  maxBytes: number,
): Promise<Loaded | undefined> {
  const opened = await openInside(root, relative)
  return opened.kind === 'file' ? takeIn(opened, maxBytes) : undefined
}

/** Changes whenever the file, its content or its permissions do; '' for no file. */
export function stampOf(stat: BigIntStats | undefined): string {
  return stat === undefined ? '' : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`
}

/** The whole body; undefined if the file changed meanwhile, so that no half-written state is kept. */
async function readSettled(fd: number, stat: BigIntStats): Promise<Buffer | undefined> {
  const size = Number(stat.size)
  // One byte more than there should be, to notice growth.
  const buffer = Buffer.allocUnsafeSlow(size + 1)
  let length = 0
  while (length < buffer.length) {
    const { bytesRead } = await readFd(fd, buffer, length, buffer.length - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  const settled = length === size && stampOf(await statOpen(fd)) === stampOf(stat)
  return settled ? buffer.subarray(0, length) : undefined
}
