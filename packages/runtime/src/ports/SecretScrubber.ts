import { scrubSecrets } from "@rspp/contracts/Secrets"
import * as Context from "effect/Context"

/**
 * Takes secrets out of texts that are about to be recorded, logged or traced: by default all that have the shape of one.
 * A program that knows its secrets (its environment) provides one that knows them too. It is applied where such texts
 * arrive, so that neither the kernel nor anything behind it ever has one (I-NO-SECRETS).
 */
export const SecretScrubber = Context.Reference<(text: string) => string>("rspp/SecretScrubber", {
  defaultValue: () => (text) => scrubSecrets(text)
})
