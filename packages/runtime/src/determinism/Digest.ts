import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import { canonicalJson } from "@rspp/contracts/CanonicalJson"

/** SHA-256 of the canonical JSON of a value, as 64 lower-case hex characters. Pure: the same value gives the same digest. */
export const digest = (value: unknown): string => bytesToHex(sha256(utf8ToBytes(canonicalJson(value))))

/**
 * {@link digest} of objects that differ only in their last member: what they have in common is hashed once. `head` is
 * their canonical JSON up to that member; the result takes the rest of it.
 */
export const digestAfter = (head: string): (rest: string) => string => {
  const common = sha256.create().update(utf8ToBytes(head))
  return (rest) => bytesToHex(common.clone().update(utf8ToBytes(rest)).digest())
}
