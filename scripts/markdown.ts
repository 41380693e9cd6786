// What the generated pages of docs/ are written with.

/** Plain text in which `<` begins no tag; what stands in backquotes is left as it is. */
export const plain = (text: string): string =>
  text.split("`").map((part, index) => index % 2 === 0 ? part.replaceAll("<", "\\<") : part).join("`")

/** A row of a table. */
export const row = (cells: ReadonlyArray<string>): string =>
  `| ${cells.map((cell) => plain(cell).replaceAll("|", "\\|").replace(/\s*\n\s*/gu, " ")).join(" | ")} |`

/** With a capital at the beginning. */
export const upper = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`
