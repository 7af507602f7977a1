/** Exit codes of all commands: part of the contract. `config` is EX_CONFIG of sysexits.h. */
export const EXIT = { fine: 0, failed: 1, usage: 2, config: 78 } as const
