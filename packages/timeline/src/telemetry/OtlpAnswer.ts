/** The rejected count of a partial success in JSON, whatever the signal: a number, or a string as proto3 has int64. */
const ofJson = (text: string): number => {
  const found = /"rejected(?:Spans|DataPoints|LogRecords)"\s*:\s*"?(\d{1,15})/u.exec(text)
  return found === null ? 0 : Number(found[1])
}

/**
 * How many records a collector says that it did not take of a request that it answered with success: the first field of
 * `partial_success`, the first field of the three export responses, in protobuf or JSON. 0 where it says nothing, or
 * something that is neither.
 */
export const rejectedIn = (body: Uint8Array, contentType: string): number => {
  if (body.byteLength === 0) return 0
  if (contentType.includes("json")) return ofJson(new TextDecoder().decode(body))
  // partial_success: field 1, a message; rejected_…: its field 1, a varint.
  if (body[0] !== 0x0a) return 0
  const inner = varint(body, 1)
  if (inner === undefined || body[inner.next] !== 0x08) return 0
  return varint(body, inner.next + 1)?.value ?? 0
}

const varint = (body: Uint8Array, from: number): { readonly value: number; readonly next: number } | undefined => {
  let value = 0
  for (let at = from, shift = 0; at < body.byteLength && shift < 49; at++, shift += 7) {
    const byte = body[at] ?? 0
    value += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) return { value, next: at + 1 }
  }
  return undefined
}
