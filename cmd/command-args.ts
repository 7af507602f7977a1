/** What a command was called with. */
export interface CommandArgs {
  /** TOML file or folder. */
  readonly config: string
  readonly json: boolean
  /** What stands behind the command's name. */
  readonly operands: readonly string[]
  /** The first of them; '' for a command that takes nothing there. */
  readonly operand: string
  /** Values of the options that only this command has. */
  readonly options: Readonly<Record<string, string | undefined>>
  /** Those of its options that take no value and were given. */
  readonly flags: ReadonlySet<string>
}
