/** A directed graph by node id. Order of nodes and edges does not change any answer of this module. */
export interface Arrows {
  readonly nodes: ReadonlyArray<string>
  readonly edges: ReadonlyArray<{ readonly from: string; readonly to: string }>
}

/** The order in which ids are sorted everywhere: by UTF-16 code units, independent of any locale. */
export const byCodeUnit = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const neighbours = ({ edges, nodes }: Arrows, backward = false): ReadonlyMap<string, ReadonlyArray<string>> => {
  const found = new Map<string, Set<string>>(nodes.map((node) => [node, new Set()]))
  for (const { from, to } of edges) backward ? found.get(to)?.add(from) : found.get(from)?.add(to)
  return new Map([...found].map(([node, others]) => [node, [...others].sort(byCodeUnit)]))
}

/** Every node that can be reached from `starts` along the edges (or against them), the starts included. */
export const reachable = (graph: Arrows, starts: ReadonlyArray<string>, backward = false): ReadonlySet<string> => {
  const next = neighbours(graph, backward)
  const seen = new Set(starts)
  const open = [...starts]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (const other of next.get(node) ?? []) {
      if (seen.has(other)) continue
      seen.add(other)
      open.push(other)
    }
  }
  return seen
}

/**
 * Cycles of the graph, one for each edge that leads back on the way from `starts` (then from every other node); empty
 * if and only if there is none. Each is the ids on it in the direction of the edges, beginning where the way entered it;
 * its last edge is the one that closes it.
 */
export const findCycles = (graph: Arrows, starts: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> => {
  const next = neighbours(graph)
  const cycles: Array<ReadonlyArray<string>> = []
  const done = new Set<string>()
  const way: Array<string> = []
  // depth is bounded by the number of nodes, which the compiler bounds
  const visit = (node: string): void => {
    if (done.has(node)) return
    const entered = way.indexOf(node)
    if (entered >= 0) {
      cycles.push(way.slice(entered))
      return
    }
    way.push(node)
    for (const other of next.get(node) ?? []) visit(other)
    way.pop()
    done.add(node)
  }
  for (const node of [...[...starts].sort(byCodeUnit), ...[...graph.nodes].sort(byCodeUnit)]) visit(node)
  return cycles
}
