import { scrubSecrets } from "@rspp/contracts/Secrets"

const telling = /(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$/iu

/** Values of variables whose names say that they are secret; paths of files are none. */
export const secretsOf = (environment: Readonly<Record<string, string | undefined>>): ReadonlyArray<string> =>
  Object.entries(environment).flatMap(([name, value = ""]) =>
    telling.test(name) && value.length >= 8 && !value.startsWith("/") ? [value] : []
  )

/** Secrets of this process: those of its environment, and those that it has read since, each once. */
let ofThisProcess: ReadonlyArray<string> = [...new Set(secretsOf(process.env))]

/** Makes secrets known that were read somewhere: no line of this process has them from now on. */
export const learnSecrets = (secrets: ReadonlyArray<string>): void => {
  if (secrets.some((secret) => !ofThisProcess.includes(secret))) {
    ofThisProcess = [...new Set([...ofThisProcess, ...secrets])]
  }
}

/** Takes secrets out of a text: what has the shape of one, and those that are known. */
export const scrub = (text: string): string => scrubSecrets(text, ofThisProcess)

/** As {@link scrub}, whatever is learned later included, with those that nodes are given in their own environments. */
export const scrubberWith = (
  environments: ReadonlyArray<Readonly<Record<string, string>>>
): (text: string) => string => {
  const ofNodes = environments.flatMap((environment) => secretsOf(environment))
  return ofNodes.length === 0 ? scrub : (text) => scrubSecrets(text, [...ofThisProcess, ...ofNodes])
}
