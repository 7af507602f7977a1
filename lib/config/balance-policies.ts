/** Every policy that `balance` may name; the first is the default. */
export const BALANCE_POLICIES = ['p2c', 'round-robin', 'least-inflight', 'peak-ewma', 'hash'] as const
export type BalancePolicy = (typeof BALANCE_POLICIES)[number]
