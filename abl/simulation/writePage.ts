// Writes docs/scenarios.md from the catalogue. `node test/simulation/writePage.ts`
import { mkdirSync, writeFileSync } from "node:fs"
import { page } from "./Catalogue.ts"

const docs = new URL("../../docs/", import.meta.url)
mkdirSync(docs, { recursive: true })
writeFileSync(new URL("scenarios.md", docs), page())
