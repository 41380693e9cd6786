import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { adaptsAsPlanned } from "./AdaptsAsPlanned.ts"
import { aheadSilent } from "./AheadSilent.ts"
import { admittedByFacts } from "./AdmittedByFacts.ts"
import { boundedEdges } from "./BoundedEdges.ts"
import { budgetsArmed } from "./BudgetsArmed.ts"
import { callsAccounted } from "./CallsAccounted.ts"
import type { Checker, Violation } from "./Checker.ts"
import { controlFirst } from "./ControlFirst.ts"
import { conversationHeard } from "./ConversationHeard.ts"
import { cutEarned } from "./CutEarned.ts"
import { denseSequence } from "./DenseSequence.ts"
import { evidenceComplete } from "./EvidenceComplete.ts"
import { failureAnswered } from "./FailureAnswered.ts"
import { floorKept } from "./FloorKept.ts"
import { flowSignalled } from "./FlowSignalled.ts"
import { graphRoutes } from "./GraphRoutes.ts"
import { groupsWhole } from "./GroupsWhole.ts"
import { holdsAndGoesOn } from "./HoldsAndGoesOn.ts"
import { inOrder } from "./InOrder.ts"
import { lateAsAgreed } from "./LateAsAgreed.ts"
import { leaseRises } from "./LeaseRises.ts"
import { levelKept } from "./LevelKept.ts"
import { legalLifecycle } from "./LegalLifecycle.ts"
import { lossHasNotice } from "./LossHasNotice.ts"
import { nothingAfterFence } from "./NothingAfterFence.ts"
import { oneEpoch } from "./OneEpoch.ts"
import { oneTerminal } from "./OneTerminal.ts"
import { onlyWhatIsWanted } from "./OnlyWhatIsWanted.ts"
import { oneVoice } from "./OneVoice.ts"
import { planFrozen } from "./PlanFrozen.ts"
import { playbackOnce } from "./PlaybackOnce.ts"
import { retriesWait } from "./RetriesWait.ts"
import { signalsRegistered } from "./SignalsRegistered.ts"
import { terminalHasCause } from "./TerminalHasCause.ts"
import { timeForward } from "./TimeForward.ts"
import { timerGeneration } from "./TimerGeneration.ts"
import { turnTaking } from "./TurnTaking.ts"
import { utteranceEnds } from "./UtteranceEnds.ts"

/** Every checker, in the order of its number. A new one is added here. */
export const checkers: ReadonlyArray<Checker> = [
  oneTerminal,
  denseSequence,
  nothingAfterFence,
  oneEpoch,
  oneVoice,
  inOrder,
  lossHasNotice,
  controlFirst,
  timeForward,
  evidenceComplete,
  legalLifecycle,
  terminalHasCause,
  planFrozen,
  admittedByFacts,
  timerGeneration,
  budgetsArmed,
  boundedEdges,
  callsAccounted,
  adaptsAsPlanned,
  flowSignalled,
  playbackOnce,
  utteranceEnds,
  signalsRegistered,
  floorKept,
  holdsAndGoesOn,
  failureAnswered,
  cutEarned,
  conversationHeard,
  lateAsAgreed,
  leaseRises,
  turnTaking,
  graphRoutes,
  aheadSilent,
  groupsWhole,
  onlyWhatIsWanted,
  levelKept,
  retriesWait
]

/** What a timeline breaks. */
export const checkTimeline = (
  header: TimelineHeader,
  records: ReadonlyArray<TimelineRecord>
): ReadonlyArray<Violation> => checkers.flatMap((checker) => checker.check(header, records))
