import type { Coding, CodingChoices } from '../http/coding.ts'
import type { Representation } from './representation.ts'

/** What a path of a static route stands for. */
export type Resource =
  | { readonly kind: 'missing'; readonly detail: string }
  /** A folder asked for without its slash; `location` is a path, never an address. */
  | { readonly kind: 'redirect'; readonly location: string }
  | FileResource

/** A file and its compressed forms: siblings from the disk, or made here. */
export interface FileResource {
  readonly kind: 'file'
  /** What the shelf has it under. */
  readonly key: string
  /** Name below the root, of the plain file. */
  readonly relative: string
  readonly mediaType: string
  readonly plain: Representation
  readonly coded: readonly Representation[]
  /** Codings of `coded`, in order of preference. */
  readonly codings: readonly Coding[]
  /** Between those and the ones that can be made. */
  readonly choices: CodingChoices
  /** Stamp of the plain file's state. */
  readonly identity: string
  /** No longer on the disk: from memory, because a manifest names it. */
  readonly held: boolean
  /** Number of the releases that its Cache-Control follows. */
  readonly release: number
  /** Bytes of the bodies in memory. */
  readonly bytes: number
  /** What must stay as it is for all this to stay true. */
  readonly watched: readonly WatchedPath[]
}

/** A path and the stamp of what stood there; '' for nothing. */
export interface WatchedPath {
  readonly path: string
  readonly stamp: string
}
