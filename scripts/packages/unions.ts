// The members of a union in one order. The compiler writes an inferred union in whatever order it met the members, which
// is another one in another run; the same sources must give the same bytes. Order means nothing in a union.
import { parse, walk } from "../source-files.ts"
import type { Node } from "../source-files.ts"

interface Union {
  readonly start: number
  readonly end: number
  readonly members: ReadonlyArray<{ readonly start: number; readonly end: number }>
}

const endOf = (node: Node): number => Number(node["end"])

const unionsOf = (path: string, text: string): ReadonlyArray<Union> => {
  const found: Array<Union> = []
  walk(parse(path, text).program, (node) => {
    if (node.type !== "TSUnionType") return
    const members = (node["types"] as ReadonlyArray<Node>).map((member) => ({
      start: member.start,
      end: endOf(member)
    }))
    found.push({ start: node.start, end: endOf(node), members })
  })
  return found
}

/** Where a member stands: what says that there is nothing comes last, as people write it. */
const rank = (member: string): string => `${/^(?:null|undefined|void)$/u.test(member) ? 1 : 0}${member}`

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** The declarations `text` with the members of every union sorted; a union with a comment between members stays. */
export const sortedUnions = (path: string, text: string): string => {
  const unions = unionsOf(path, text)
  const render = (start: number, end: number, inside: ReadonlyArray<Union>): string => {
    let result = ""
    let at = start
    for (const union of inside) {
      if (union.start < at) continue
      const nested = inside.filter((other) => other !== union && other.start >= union.start && other.end <= union.end)
      const members = union.members.map((member) =>
        render(
          member.start,
          member.end,
          nested.filter((other) => other.start >= member.start && other.end <= member.end)
        )
      )
      const between = union.members.slice(1).map((member, i) => text.slice(union.members[i]?.end ?? 0, member.start))
      const plain = between.every((gap) => /^\s*\|\s*$/u.test(gap))
      const first = union.members[0]?.start ?? union.start
      result += text.slice(at, first)
      if (plain) result += members.toSorted((a, b) => compare(rank(a), rank(b))).join(" | ")
      else result += text.slice(first, union.end)
      at = union.end
    }
    return result + text.slice(at, end)
  }
  return render(0, text.length, unions)
}
