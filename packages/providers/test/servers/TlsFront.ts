import { Effect } from "effect"
import { generateKeyPairSync, sign } from "node:crypto"
import { type AddressInfo, connect as connectPlain } from "node:net"
import { createServer, getCACertificates, setDefaultCACertificates } from "node:tls"

/** One DER element. */
const der = (tag: number, ...contents: ReadonlyArray<Buffer>): Buffer => {
  const content = Buffer.concat(contents)
  const length = content.length < 0x80
    ? Buffer.from([content.length])
    : content.length < 0x100
    ? Buffer.from([0x81, content.length])
    : Buffer.from([0x82, content.length >> 8, content.length & 0xff])
  return Buffer.concat([Buffer.from([tag]), length, content])
}

const [integer, bits, octets, oid, utf8, utcTime, sequence, set] = [0x02, 0x03, 0x04, 0x06, 0x0c, 0x17, 0x30, 0x31]
const ecdsaWithSha256 = der(sequence, der(oid, Buffer.from("2a8648ce3d040302", "hex")))

/** A host that there is not, as far as the name service knows; a proxy may know it. */
export const foreignHost = "vendor.test"

/** A key and a certificate of its own for 127.0.0.1 and {@link foreignHost}, made for the moment. */
const identity = (): { readonly key: string; readonly cert: string } => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const name = der(
    sequence,
    der(set, der(sequence, der(oid, Buffer.from("550403", "hex")), der(utf8, Buffer.from("rspp test"))))
  )
  const extension = (id: string, value: Buffer) => der(sequence, der(oid, Buffer.from(id, "hex")), der(octets, value))
  const certificate = der(
    sequence,
    der(0xa0, der(integer, Buffer.from([2]))),
    der(integer, Buffer.from([1])),
    ecdsaWithSha256,
    name,
    der(sequence, der(utcTime, Buffer.from("250101000000Z")), der(utcTime, Buffer.from("490101000000Z"))),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(
      0xa3,
      der(
        sequence,
        extension("551d11", der(sequence, der(0x87, Buffer.from([127, 0, 0, 1])), der(0x82, Buffer.from(foreignHost)))),
        extension("551d13", der(sequence, der(0x01, Buffer.from([0xff]))))
      )
    )
  )
  const signed = der(
    sequence,
    certificate,
    ecdsaWithSha256,
    der(bits, Buffer.from([0]), sign("sha256", certificate, privateKey))
  )
  const lines = signed.toString("base64").replace(/(.{64})/gu, "$1\n")
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
  }
}

/**
 * TLS in front of a plain server on 127.0.0.1, for clients that take nothing else; gives its port. Its certificate is
 * trusted by this process as long as the scope lasts.
 */
export const tlsFront = (plainPort: number) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly stop: () => void }>((resume) => {
      const trusted = getCACertificates("default")
      const own = identity()
      setDefaultCACertificates([...trusted, own.cert])
      const server = createServer(own, (socket) => {
        const plain = connectPlain(plainPort, "127.0.0.1")
        socket.on("error", () => plain.destroy())
        plain.on("error", () => socket.destroy())
        plain.on("close", () => socket.destroySoon())
        socket.pipe(plain).pipe(socket)
      })
      server.listen(0, "127.0.0.1", () =>
        resume(Effect.succeed({
          port: (server.address() as AddressInfo).port,
          stop: () => {
            server.close()
            setDefaultCACertificates(trusted)
          }
        })))
    }),
    (front) => Effect.sync(front.stop)
  )
