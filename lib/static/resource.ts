import type { Coding } from '../http/coding.ts'
import type { Representation } from './representation.ts'

/** What a path of a static route stands for. */
export type Resource =
  | { readonly kind: 'missing'; readonly detail: string }
  /** A folder asked for without its slash; `location` is a path, never an address. */
  | { readonly kind: 'redirect'; readonly location: string }
  | FileResource

/** A file and its compressed siblings. */
export interface FileResource {
  readonly kind: 'file'
  /** Name below the root, of the plain file. */
  readonly relative: string
  readonly mediaType: string
  readonly plain: Representation
  readonly coded: readonly Representation[]
  /** Codings of `coded`, in its order. */
  readonly codings: readonly Coding[]
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
