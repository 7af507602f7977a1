/** What a command was called with. */
export interface CommandArgs {
  /** TOML file or folder. */
  readonly config: string
  readonly json: boolean
  /** What stands behind the command's name; '' for a command that takes nothing there. */
  readonly operand: string
  /** Values of the options that only this command has. */
  readonly options: Readonly<Record<string, string | undefined>>
}
