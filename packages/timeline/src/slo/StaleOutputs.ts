import type { TimelineRecord } from "@rspp/contracts/Timeline"

/** One output that was accepted and should not have been. */
export interface StaleOutput {
  readonly turn_id: string
  readonly runtime_sequence: number
  readonly message: string
}

/** What a timeline tells of outputs and epochs. */
export interface OutputsByEpoch {
  /** Outputs that were accepted: speech handed to egress, and frames that the transport took. */
  readonly accepted: number
  readonly stale: ReadonlyArray<StaleOutput>
}

/** Speech that came in under another epoch and that nothing has been done with; a provider holds a few of them. */
const maxForeign = 4096

/**
 * Holds every output that was accepted against the epoch that was in force, as the lease inputs of the recording have it
 * (not as the kernel says): the highest one that was issued, renewed or rotated, and none from its revocation or expiry on.
 *
 * Stale is speech that is handed to egress (`enqueue_output`) under another epoch than the one in force, or that a provider
 * gave under another one; and a frame of a turn of another epoch that the transport took (`output_accepted`) after the
 * turn's fence had been reported, or without any fence. What it had taken before the fence is told late and is not stale.
 */
export const outputsByEpoch = (records: ReadonlyArray<TimelineRecord>): OutputsByEpoch => {
  const stale: Array<StaleOutput> = []
  let accepted = 0
  let epoch = 0
  let held = false
  let lost = -1
  const epochs = new Map<string, number>()
  const fenceAsked = new Set<string>()
  const fenced = new Set<string>()
  const foreign = new Set<string>()
  const inForce = () => held ? `${epoch} is in force` : "no epoch is in force"

  for (const record of records) {
    switch (record.record) {
      case "input": {
        const { input, runtime_sequence } = record
        if (input.type === "lease") {
          const holds = input.status !== "revoked" && input.status !== "expired"
          // Of an older epoch, or of one that is over for good: it changes nothing.
          if (input.authority_epoch < epoch || (holds && input.authority_epoch === lost)) break
          epoch = input.authority_epoch
          held = holds
          if (!holds) lost = epoch
        } else if (input.type === "output_rejected") {
          if (input.reason === "lease_expired" && input.authority_epoch === epoch) {
            held = false
            lost = epoch
          }
        } else if (input.type === "egress_fenced") fenced.add(input.turn_id)
        else if (input.type === "voice_chunk" || (input.type === "node_item" && input.payload_kind === "voice")) {
          if (input.authority_epoch !== undefined && (input.authority_epoch !== epoch || !held)) {
            foreign.add(input.handle.id)
            if (foreign.size > maxForeign) { for (const oldest of foreign) if (foreign.delete(oldest)) break }
          }
        } else if (input.type === "output_accepted") {
          accepted++
          const of = epochs.get(input.turn_id)
          if (of === undefined || (of === epoch && held)) break
          if (!fenced.has(input.turn_id) && fenceAsked.has(input.turn_id)) break
          stale.push({
            turn_id: input.turn_id,
            runtime_sequence,
            message: `the transport took output of epoch ${of} of ${input.turn_id}; ${inForce()}`
          })
        }
        break
      }
      case "signal": {
        const { authority_epoch, signal, turn_id } = record.signal
        if (signal === "turn_open" && turn_id !== undefined && authority_epoch !== undefined) {
          epochs.set(turn_id, authority_epoch)
        }
        break
      }
      case "command": {
        const { command, runtime_sequence } = record
        if (command.type === "fence_output") fenceAsked.add(command.turn_id)
        if (command.type !== "enqueue_output") break
        accepted++
        const { authority_epoch, handle_id, turn_id } = command
        const message = authority_epoch !== epoch || !held
          ? `output of epoch ${authority_epoch} of ${turn_id} was handed to egress; ${inForce()}`
          : foreign.has(handle_id)
          ? `${handle_id} came under another epoch and was handed to egress for ${turn_id}`
          : undefined
        if (message !== undefined) stale.push({ turn_id, runtime_sequence, message })
        break
      }
      default:
    }
  }
  return { accepted, stale }
}
