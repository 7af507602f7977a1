/**
 * What became of a copied request. ok: it was answered, whatever the status. failed: it was sent and got no
 * answer. dropped: not sent, because no slot was free, too many were on their way, or its body was not at
 * hand.
 */
export const MIRROR_RESULTS = ['ok', 'failed', 'dropped'] as const
export type MirrorResult = (typeof MIRROR_RESULTS)[number]
