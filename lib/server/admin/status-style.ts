/** Tables of the status page. */
export type TableKind = keyof typeof NARROW_HEADS

/** What stands before a cell, by its place in the row, where there is no room for a row of heads. */
const NARROW_HEADS = {
  endpoints: { 4: 'for', 5: 'weight', 6: 'in flight', '7.number': 'tunnels' },
  routes: { 2: 'route', 3: 'hosts', 4: 'path', 5: 'leads to' },
  tunnels: { 1: 'tunnel', 2: 'hosts', 3: 'listeners', 4: 'leads to' },
  certificates: { 1: 'listener', 3: 'key', 4: 'not after', 5: 'days left' },
  bodies: { 2: 'now', 3: 'at most' },
  listeners: {},
  threads: { 2: 'thread', 3: 'busy', 4: 'pauses' },
} as const satisfies Record<string, Readonly<Record<string, string>>>

function narrowHeads(): string {
  const rules = Object.entries(NARROW_HEADS).flatMap(([kind, heads]) =>
    Object.entries(heads).map(([place, head]) => {
      const [column, kindOfCell] = place.split('.')
      const cell = kindOfCell === undefined ? 'td' : `td.${kindOfCell}`
      return `.${kind} ${cell}:nth-child(${column})::before { content: "${head}: "; }`
    }),
  )
  return rules.join('\n  ')
}

/** How the status page looks: no resources but itself, light or dark as the reader's system is. */
export const STATUS_STYLE = `
:root {
  color-scheme: light dark;
  --ink: #14212b; --soft: #55656f; --paper: #f6f4ee; --card: #fff; --line: #e2ddd0; --link: #0b6286;
  --good: #1a7f37; --doubtful: #9a6700; --bad: #c21f2c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e8edf0; --soft: #9fb0ba; --paper: #0f1a22; --card: #17252f; --line: #263844; --link: #7cc7e3;
    --good: #4ac26b; --doubtful: #d9a521; --bad: #ff7b72;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1.25rem 2.5rem; max-width: 68rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
}
h1 { margin: 0; font-size: 1.45rem; }
h2 { margin: 0 0 .4rem; font-size: 1.05rem; }
h2 span { font-weight: 400; }
p { margin: .2rem 0; }
a { color: var(--link); }
.soft, h2 span { color: var(--soft); }
.verdict { margin: .9rem 0 1rem; padding: .7rem 1rem; border-left: 5px solid; border-radius: 6px; background: var(--card); font-weight: 600; }
.verdict::first-letter { text-transform: uppercase; }
.good, .up { color: var(--good); } .doubtful, .ejected, .draining { color: var(--doubtful); } .bad, .down { color: var(--bad); }
section { margin-bottom: 1rem; padding: 1rem 1.25rem; border: 1px solid var(--line); border-radius: 12px; background: var(--card); overflow-x: auto; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th { color: var(--soft); font-size: .85rem; font-weight: 500; text-align: left; white-space: nowrap; }
th, td { padding: .35rem 1rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
tr:last-child td { border-bottom: 0; }
td { white-space: nowrap; }
td.words { white-space: normal; overflow-wrap: anywhere; }
td.words:last-child { min-width: 12rem; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.state { font-weight: 600; }
td.state::before { content: "\\25cf"; margin-right: .4rem; }
pre { margin: .4rem 0 0; padding: .6rem .8rem; border-left: 3px solid var(--bad); white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 44rem) {
  body { padding: 1rem .75rem 2rem; }
  section { padding: .8rem .9rem; }
  .pair { grid-template-columns: 1fr; }
  tr { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .4rem 0; border-bottom: 1px solid var(--line); }
  tr:first-child { display: none; } tr:last-child { border-bottom: 0; }
  td { padding: .1rem 0; border: 0; white-space: normal; overflow-wrap: anywhere; }
  td:not(.state)::before { color: var(--soft); }
  td.words { flex-basis: 100%; }
  ${narrowHeads()}
}
`
