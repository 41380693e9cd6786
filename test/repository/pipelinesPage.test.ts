import { assert, describe, it } from "@effect/vitest"
import { nodeTypes } from "@rspp/contracts/GraphDefinition"
import { nodePorts, singleTypes } from "@rspp/control/NodeTypes"
import { describeSpecError, parseSpecText } from "@rspp/control/SpecFile"
import { SpecErrorCode } from "@rspp/control/SpecError"
import { SpecNormalizer } from "@rspp/control/SpecNormalizer"
import { catalog } from "@rspp/providers/Catalog"
import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"

const root = dirname(dirname(import.meta.dirname))
const page = readFileSync(join(root, "docs/pipelines.md"), "utf8")
const blocks = [...page.matchAll(/```yaml\n([^]*?)```/gu)].map(([whole, yaml = ""]) => ({
  yaml,
  line: page.slice(0, page.indexOf(whole)).split("\n").length + 1
}))

interface Part {
  readonly node_id?: string
  readonly to_node_id?: string
}
interface Written {
  readonly schema_version?: string
  readonly nodes?: ReadonlyArray<Part>
  readonly edges?: ReadonlyArray<Part>
}

const read = (yaml: string) => Effect.map(parseSpecText(yaml, "example.yaml"), ({ value }) => value as Written)
const known = [...catalog.map(({ provider_id }) => provider_id), "example/topic_router"]

/** What the page says that its short examples leave out: the head, the beginning of the graph and its nodes. */
const completed = Effect.fnUntraced(function*(yaml: string) {
  const example = yield* read(yaml)
  if (example.schema_version !== undefined) return example
  const full = blocks.map((block) => block.yaml).find((other) => other.includes("nodes:")) ?? ""
  const { edges = [], nodes = [], ...head } = yield* read(full)
  const shared = ["input", "vad", "stt", "turn", "output"]
  return {
    ...head,
    ...example,
    nodes: [...nodes.filter(({ node_id = "" }) => shared.includes(node_id)), ...example.nodes ?? []],
    edges: [
      ...edges.filter(({ to_node_id = "" }) => ["vad", "stt", "turn"].includes(to_node_id)),
      ...example.edges ?? []
    ]
  }
})

const normalize = (spec: unknown) =>
  Effect.flatMap(SpecNormalizer, (normalizer) => normalizer.normalize(spec, { providers: known })).pipe(
    Effect.provide(SpecNormalizer.layer)
  )

describe("docs/pipelines.md", () => {
  it("has an example of each part", () => assert.isAtLeast(blocks.length, 12))

  for (const { line, yaml } of blocks) {
    it.effect(`has an example on line ${line} that is accepted`, () => Effect.flatMap(completed(yaml), normalize))
  }

  it.effect("writes out the graph that the profile fills in", () =>
    Effect.gen(function*() {
      const [plain, written] = yield* Effect.forEach(blocks.slice(0, 2), ({ yaml }) =>
        Effect.flatMap(completed(yaml), normalize))
      assert.strictEqual(
        written?.pipeline.graph.graph_definition_ref,
        plain?.pipeline.graph.graph_definition_ref
      )
    }))

  it.effect("ends its walk with the pipeline that ships", () =>
    Effect.gen(function*() {
      const shipped = yield* parseSpecText(
        readFileSync(join(root, "contracts/pipelines/screened.yaml"), "utf8"),
        "screened.yaml"
      )
      const last = yield* Effect.flatMap(completed(blocks.at(-1)?.yaml ?? ""), normalize)
      assert.deepStrictEqual(last, yield* normalize(shipped.value))
    }))

  it("describes every node type as it is", () => {
    for (const type of nodeTypes) {
      const cells = new RegExp(`^\\| \`${type}\` \\|(.*)\\|$`, "mu").exec(page)?.[1]?.split("|") ?? []
      const words = (i: number) => [...(cells[i] ?? "").matchAll(/`([a-z_]+)`/gu)].map(([, word = ""]) => word)
      const { accepts, emits, emitsWhatItTakes, implementation, options, provider } = nodePorts[type]
      assert.deepStrictEqual(words(0), accepts.map(({ kind }) => kind), `${type} takes`)
      assert.deepStrictEqual(words(1), emitsWhatItTakes ? [] : [...emits], `${type} gives`)
      assert.strictEqual(cells[2]?.trim(), singleTypes.includes(type) ? "one" : "any number", `${type} in a graph`)
      const says = [...(provider !== undefined || implementation !== undefined ? ["provider_id"] : []), ...options]
      assert.deepStrictEqual(words(3), says, `${type} may say`)
    }
  })

  it("explains every error code, and no other", () => {
    const told = [...page.slice(page.indexOf("## What is refused")).matchAll(/^\| (`.*?) \| /gmu)]
      .flatMap(([, codes = ""]) => [...codes.matchAll(/`([a-z_]+)`/gu)].map(([, code = ""]) => code))
    assert.deepStrictEqual(told.toSorted(), [...SpecErrorCode.literals].toSorted())
  })

  it.effect("shows a mistake as it is told", () =>
    Effect.gen(function*() {
      const wrong = (blocks[1]?.yaml ?? "").replace(
        "to_node_id: sentences, payload_kind: text",
        "to_node_id: tts, payload_kind: text"
      )
      const source = yield* parseSpecText(wrong, "assistant.yaml")
      const { errors } = yield* Effect.flip(normalize(source.value))
      const told = errors.map((error) => describeSpecError(error, source)).join("\n")
      assert.include(page, `\`\`\`\n${told}\n\`\`\``, told)
    }))

  it("names only files of the project that exist", () => {
    const named = [...page.matchAll(/(?:contracts|test)\/[a-z/-]+\.[a-z]+/gu)].map(([path]) => path)
    for (const path of named) assert.isTrue(existsSync(join(root, path)), path)
  })
})
