import { mkdir, readFile, rename, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { sha256OfBytes } from "../internal/Sha256.ts"

/** SHA-256 of the token file that {@link tokensFile} makes. */
const tokensSha256 = "c6e35883ba038f70ceea8b4a21cf79742adbda7e6730cbff27460857e0667a02"

/** One line `base64(piece) id` per piece: the form that sherpa reads; pieces not in base64 would abort the process. */
const render = async (): Promise<Buffer> => {
  const { default: tokenizer } = await import("llama-tokenizer-js")
  const lines = tokenizer.vocabById.map((piece, id) => {
    const byte = /^<0x([0-9A-F]{2})>$/u.exec(piece)
    const bytes = byte === null ? Buffer.from(piece) : Buffer.from([Number.parseInt(byte[1]!, 16)])
    return `${bytes.toString("base64")} ${id}\n`
  })
  return Buffer.from(lines.join(""))
}

const isWhole = async (path: string): Promise<boolean> => {
  try {
    return sha256OfBytes(await readFile(path)) === tokensSha256
  } catch {
    return false
  }
}

/**
 * The path of Moonshine's token file (0.5 MB), made from `llama-tokenizer-js` when it is not there yet (150 ms).
 *
 * It is kept in `cacheDir`, or in the system's temporary folder when that cannot be written; its contents are checked
 * by SHA-256 each time. It throws when neither folder can be written or the tokenizer is not the tested one.
 */
export const tokensFile = async (cacheDir: string): Promise<string> => {
  const name = `moonshine-tokens-${tokensSha256.slice(0, 12)}.txt`
  const folders = [cacheDir, join(tmpdir(), "rspp")]
  for (const folder of folders) {
    if (await isWhole(join(folder, name))) return join(folder, name)
  }
  const bytes = await render()
  const actual = sha256OfBytes(bytes)
  if (actual !== tokensSha256) {
    throw new Error(`the tokens of llama-tokenizer-js have SHA-256 ${actual}, expected ${tokensSha256}`)
  }
  let problem: unknown
  for (const folder of folders) {
    try {
      await mkdir(folder, { recursive: true })
      const path = join(folder, name)
      // Renamed into place, so that another process never reads half a file.
      await writeFile(`${path}.${process.pid}`, bytes)
      await rename(`${path}.${process.pid}`, path)
      return path
    } catch (error) {
      problem = error
    }
  }
  throw problem
}
