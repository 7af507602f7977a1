interface Series {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A scrape, parsed. */
export class Metrics {
  readonly text: string
  readonly series: readonly Series[]

  constructor(text: string) {
    this.text = text
    this.series = text
      .split('\n')
      .filter(line => line !== '' && !line.startsWith('#'))
      .map(parseSeries)
  }

  /** The sum of all series of this name that have these labels; 0 if there are none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    let sum = 0
    for (const series of this.series) {
      if (series.name === name && hasAll(series.labels, labels)) sum += series.value
    }
    return sum
  }

  /** True if the scrape has the family at all. */
  has(name: string): boolean {
    return this.series.some(series => series.name === name)
  }

  /** `name{labels}` of every series. */
  get keys(): string[] {
    return this.series.map(({ name, labels }) => `${name}${JSON.stringify(labels)}`)
  }
}

function hasAll(labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value)
}

function parseSeries(line: string): Series {
  const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line)
  if (match === null) throw new Error(`not a line of the Prometheus text format: ${line}`)
  const labels: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [, name, value] of (match[2] ?? '').matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g)) {
    labels[name as string] = (value as string).replaceAll(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c))
  }
  return { name: match[1] as string, labels, value: Number(match[3]) }
}
