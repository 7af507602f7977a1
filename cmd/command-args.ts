/** What a command was called with. */
export interface CommandArgs {
  /** TOML file or folder. */
  readonly config: string
  readonly json: boolean
}
