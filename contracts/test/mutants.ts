import type { ArtifactKind } from "@rspp/contracts/Artifact"
import { invalidFixtures, validFixtures } from "./corpus.ts"

type Path = ReadonlyArray<string | number>
type Container = Record<string | number, unknown>

/** Mulberry32: 32-bit seeded random numbers in [0, 1). */
const randomFrom = (seed: number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6D2B79F5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

const isContainer = (value: unknown): value is Container => typeof value === "object" && value !== null

/** Every place in the value, its root excluded. */
const places = (value: unknown, path: Path = []): ReadonlyArray<Path> =>
  !isContainer(value) ? [] : Object.entries(value).flatMap(([key, inner]) => {
    const here = [...path, Array.isArray(value) ? Number(key) : key]
    return [here, ...places(inner, here)]
  })

const at = (root: unknown, path: Path): unknown => path.reduce<unknown>((value, key) => (value as Container)[key], root)

/** All values that stand under each key anywhere in the corpus: to swap a signal, an emitter, a scope for another. */
const valuesByKey = new Map<string, Array<unknown>>()
for (const { artifact } of [...validFixtures, ...invalidFixtures]) {
  for (const path of places(artifact)) {
    const key = String(path.at(-1))
    const values = valuesByKey.get(key) ?? []
    const value = at(artifact, path)
    if (!values.some((known) => JSON.stringify(known) === JSON.stringify(value))) values.push(value)
    valuesByKey.set(key, values)
  }
}
const keys = [...valuesByKey.keys()]

const odd = [
  null,
  true,
  false,
  0,
  -1,
  1,
  1.5,
  7.0,
  -0,
  1e300,
  2 ** 53,
  "",
  " ",
  "x",
  "\n",
  "v1.0",
  "v1.0\n",
  "0",
  [],
  [""],
  ["a", "a"],
  [null],
  {},
  { x: 1 }
]

type Pick = <A>(list: ReadonlyArray<A>) => A

const textOf = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value))

const mutations: Readonly<Record<string, (parent: Container, key: string | number, pick: Pick) => void>> = {
  "drop it": (parent, key) => Array.isArray(parent) ? parent.splice(Number(key), 1) : delete parent[key],
  "put something odd there": (parent, key, pick) => (parent[key] = structuredClone(pick(odd))),
  "swap it for another of that name": (
    parent,
    key,
    pick
  ) => (parent[key] = structuredClone(pick(valuesByKey.get(String(key)) ?? [null]))),
  "add a known key": (parent, _key, pick) => {
    const name = pick(keys)
    if (Array.isArray(parent)) parent.push(structuredClone(pick(odd)))
    else parent[name] = structuredClone(pick(valuesByKey.get(name) ?? [null]))
  },
  "add a strange key": (parent, _key, pick) => {
    if (Array.isArray(parent)) return
    const name = pick(["", " ", "constructor", "toString", "__proto__", "hasOwnProperty", "x", "Lane"])
    Object.defineProperty(parent, name, {
      value: structuredClone(pick(odd)),
      enumerable: true,
      configurable: true,
      writable: true
    })
  },
  "rename the key": (parent, key) => {
    if (Array.isArray(parent)) return
    parent[`${key}_`] = parent[key]
    delete parent[key]
  },
  "add a newline": (parent, key) => (parent[key] = `${textOf(parent[key])}\n`),
  "change the case": (parent, key) => (parent[key] = textOf(parent[key]).toUpperCase()),
  "put it in quotes": (parent, key) => (parent[key] = JSON.stringify(parent[key])),
  "negate it": (parent, key) => (parent[key] = -Number(textOf(parent[key]))),
  "repeat it": (parent, key) =>
    Array.isArray(parent)
      ? parent.push(structuredClone(parent[Number(key)]))
      : (parent[key] = [parent[key], parent[key]]),
  "make a list of 65": (parent, key) => (parent[key] = Array.from({ length: 65 }, (_, index) => `id-${index}`))
}

/** One mutated artifact; `undefined` when the mutation gave no JSON value. */
const mutate = (artifact: unknown, random: () => number) => {
  const pick: Pick = (list) => list[Math.floor(random() * list.length)]!
  const root = { artifact: structuredClone(artifact) }
  const steps: Array<string> = []
  const rounds = random() < 0.7 ? 1 : 2 + Math.floor(random() * 2)
  for (let round = 0; round < rounds; round++) {
    const path = random() < 0.02 ? ["artifact"] : ["artifact", ...(pick([...places(root.artifact), []]))]
    // A swap often leaves the artifact valid, and is what conditional rules are about; the others rarely do.
    const name = random() < 0.6 ? "swap it for another of that name" : pick(Object.keys(mutations))
    mutations[name]!(at(root, path.slice(0, -1)) as Container, path.at(-1)!, pick)
    steps.push(`${path.join(".")}: ${name}`)
    if (!isContainer(root.artifact)) break
  }
  const text = JSON.stringify(root.artifact)
  return text === undefined ? undefined : { value: JSON.parse(text) as unknown, steps }
}

/** What one seed makes of the corpus; `undefined` when the mutation left no JSON value. */
export interface Mutated {
  readonly kind: ArtifactKind
  readonly name: string
  readonly value: unknown
  readonly steps: ReadonlyArray<string>
}

// Valid fixtures twice, so that more mutants stand one step from the line between valid and invalid.
const corpus = [validFixtures, validFixtures, invalidFixtures].flat()
const corpusOf = Map.groupBy(corpus, ({ kind }) => kind)

/** The mutated artifact of a seed, from the fixtures of one kind or, by default, of all kinds. */
export const mutatedBy = (seed: number, only?: ArtifactKind): Mutated | undefined => {
  const random = randomFrom(seed)
  const from = only === undefined ? corpus : corpusOf.get(only) ?? corpus
  const { artifact, kind, name } = from[Math.floor(random() * from.length)]!
  const mutated = mutate(artifact, random)
  return mutated === undefined ? undefined : { kind, name, ...mutated }
}
