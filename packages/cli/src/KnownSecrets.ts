import { scrubSecrets } from "@rspp/contracts/Secrets"

const telling = /(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$/iu

/** Values of variables whose names say that they are secret; paths of files are none. */
export const secretsOf = (environment: Readonly<Record<string, string | undefined>>): ReadonlyArray<string> =>
  Object.entries(environment).flatMap(([name, value = ""]) =>
    telling.test(name) && value.length >= 8 && !value.startsWith("/") ? [value] : []
  )

const ofThisProcess = secretsOf(process.env)

/** Takes secrets out of a text: what has the shape of one, and those of this process's environment. */
export const scrub = (text: string): string => scrubSecrets(text, ofThisProcess)

/** As {@link scrub}, with those that nodes are given in their own environments, and those of providers. */
export const scrubberWith = (
  environments: ReadonlyArray<Readonly<Record<string, string>>>,
  more: ReadonlyArray<string> = []
): (text: string) => string => {
  const known = [...ofThisProcess, ...more, ...environments.flatMap((environment) => secretsOf(environment))]
  return (text) => scrubSecrets(text, known)
}
