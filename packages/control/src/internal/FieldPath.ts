/** Where a value stands in a spec: keys and array positions from the top. */
export type FieldPath = ReadonlyArray<string | number>

const plainKey = /^[A-Za-z_][A-Za-z0-9_]*$/u

/**
 * A path as an author reads it: `nodes[2].node_type`, `edge_buffer_policies["tts.voice.output"].strategy`.
 * Keys that are not plain words (edge ids contain dots) are quoted, so that a path has one reading.
 */
export const formatPath = (path: FieldPath): string => {
  let text = ""
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`
    else if (!plainKey.test(part)) text += `[${JSON.stringify(part)}]`
    else text += text === "" ? part : `.${part}`
  }
  return text
}

/** The inverse of {@link formatPath}. */
export const parsePath = (text: string): FieldPath => {
  const path: Array<string | number> = []
  for (
    const match of text.matchAll(
      /\[(?<index>[0-9]+)\]|\[(?<quoted>"(?:[^"\\]|\\.)*")\]|(?<key>[A-Za-z_][A-Za-z0-9_]*)/gu
    )
  ) {
    const { index, quoted, key } = match.groups ?? {}
    if (index !== undefined) path.push(Number(index))
    else if (quoted !== undefined) path.push(JSON.parse(quoted) as string)
    else if (key !== undefined) path.push(key)
  }
  return path
}
