import { CODE, FIRST_WINDOW, MAX_FRAME_BYTES, MAX_WINDOW, read32, SETTING } from './http2-frames.ts'

const PAIR_BYTES = 6
const FIRST_TABLE_BYTES = 4096
const MAX_FRAME_SIZE = 0xff_ffff

/** What a client asks of us (RFC 9113 6.5.2), as far as it is heeded. */
export class PeerSettings {
  /** Of the table that our encoder may use. */
  tableBytes: number = FIRST_TABLE_BYTES
  /** First window of each stream. */
  window: number = FIRST_WINDOW

  /**
   * Takes the payload of a SETTINGS frame, a whole number of pairs; a number is the error code of what is
   * wrong with it.
   */
  read(bytes: Uint8Array, start: number, end: number): number | undefined {
    for (let at = start; at < end; at += PAIR_BYTES) {
      const name = ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
      const fault = this.#set(name, read32(bytes, at + 2) >>> 0)
      if (fault !== undefined) return fault
    }
    return undefined
  }

  #set(name: number, value: number): number | undefined {
    switch (name) {
      case SETTING.tableBytes:
        this.tableBytes = value
        return undefined
      case SETTING.push:
      case SETTING.extendedConnect:
        return value > 1 ? CODE.protocol : undefined
      case SETTING.window:
        if (value > MAX_WINDOW) return CODE.flowControl
        this.window = value
        return undefined
      case SETTING.frameBytes:
        return value < MAX_FRAME_BYTES || value > MAX_FRAME_SIZE ? CODE.protocol : undefined
      default:
        return undefined
    }
  }
}
