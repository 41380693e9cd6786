import { authorityMutants } from "./AuthorityMutants.ts"
import { evidenceMutants } from "./EvidenceMutants.ts"
import { graphMutants } from "./GraphMutants.ts"
import { kernelMutants } from "./KernelMutants.ts"
import { levelMutants } from "./LevelMutants.ts"
import { listeningMutants } from "./ListeningMutants.ts"
import type { Mutant } from "./Mutant.ts"
import { outputMutants } from "./OutputMutants.ts"
import { providerMutants } from "./ProviderMutants.ts"
import { turnTakingMutants } from "./TurnTakingMutants.ts"
import { turnMutants } from "./TurnMutants.ts"

/** Every planted defect, in the order in which they run. */
export const catalogue: ReadonlyArray<Mutant> = [
  ...turnMutants,
  ...turnTakingMutants,
  ...authorityMutants,
  ...outputMutants,
  ...providerMutants,
  ...listeningMutants,
  ...kernelMutants,
  ...evidenceMutants,
  ...levelMutants,
  ...graphMutants
]
