import { createHash } from "node:crypto"

/** SHA-256 of bytes, or of the UTF-8 of a text, as 64 hex characters. */
export const sha256 = (data: Uint8Array | string): string => createHash("sha256").update(data).digest("hex")

/** What npm knows a tarball by: `sha512-` and its hash in base 64. */
export const integrityOf = (data: Uint8Array): string => `sha512-${createHash("sha512").update(data).digest("base64")}`
