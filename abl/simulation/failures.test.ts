// The failure matrix (CONTRACT section 8), injected where it happens. Each title is the class and what it says.
import { held } from "./Harness.ts"
import { scenario as f1 } from "./scenarios/F1-admission.ts"
import { scenario as f2 } from "./scenarios/F2-node-budget.ts"
import { scenario as f3 } from "./scenarios/F3-provider-failure.ts"
import { scenario as f4 } from "./scenarios/F4-edge-pressure.ts"
import { scenario as f5 } from "./scenarios/F5-partial-loss.ts"
import { scenario as f6 } from "./scenarios/F6-transport.ts"
import { scenario as f7 } from "./scenarios/F7-authority.ts"
import { scenario as f8 } from "./scenarios/F8-old-writer.ts"
import { scenario as x1 } from "./scenarios/X1-cancel-and-lease-loss.ts"
import { scenario as x2 } from "./scenarios/X2-recording-under-pressure.ts"

held(f1)
held(f2)
held(f3)
held(f4)
held(f5)
held(f6)
held(f7)
held(f8)
held(x1)
held(x2)
