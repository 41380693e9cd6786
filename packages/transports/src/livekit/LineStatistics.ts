/** What {@link LineStatistics} reads of rtc-node's statistics; every field may be missing. */
export interface SessionStats {
  readonly publisherStats: ReadonlyArray<StatsEntry>
  readonly subscriberStats: ReadonlyArray<StatsEntry>
}

export interface StatsEntry {
  readonly stats: { readonly case?: string | undefined; readonly value?: unknown }
}

interface Inbound {
  readonly rtc?: { readonly id?: string }
  readonly stream?: { readonly kind?: string; readonly ssrc?: number }
  readonly received?: { readonly packetsReceived?: bigint; readonly packetsLost?: bigint; readonly jitter?: number }
  readonly inbound?: { readonly trackIdentifier?: string; readonly concealedSamples?: bigint }
}

const isInbound = (value: unknown): value is Inbound => typeof value === "object" && value !== null

/** Counters of one RTP stream, as they were last seen. */
interface Stream {
  received: number
  lost: number
  concealed: number
}

/**
 * Loss and jitter of the caller's audio, summed over the streams that it came by: a new stream counts from 0 again.
 *
 * The counts never fall, except `packets_lost`, as RFC 3550 has it: a late packet is taken back out of the lost.
 */
export class LineStatistics {
  readonly #streams = new Map<string, Stream>()
  #jitterMs = 0
  #jitterMaxMs = 0

  /** Takes in a reading; true: packets of audio have come since the one before. */
  take(reading: SessionStats): boolean {
    let grew = false
    // With one peer connection for both directions the client lists all of them as the publisher's.
    for (const { stats } of [...reading.publisherStats, ...reading.subscriberStats]) {
      if (stats.case !== "inboundRtp" || !isInbound(stats.value)) continue
      const { inbound, received, rtc, stream } = stats.value
      if (stream?.kind !== "audio") continue
      const key = `${rtc?.id ?? ""}/${stream.ssrc ?? ""}`
      const before = this.#streams.get(key)
      const now = {
        received: Number(received?.packetsReceived ?? 0),
        lost: Number(received?.packetsLost ?? 0),
        concealed: Number(inbound?.concealedSamples ?? 0)
      }
      if (now.received > (before?.received ?? 0)) {
        grew = true
        this.#jitterMs = (received?.jitter ?? 0) * 1000
        this.#jitterMaxMs = Math.max(this.#jitterMaxMs, this.#jitterMs)
      }
      this.#streams.set(key, now)
    }
    return grew
  }

  get counts() {
    const sum = (of: (stream: Stream) => number) => {
      let total = 0
      for (const stream of this.#streams.values()) total += of(stream)
      return total
    }
    return {
      packets_received: sum(({ received }) => received),
      packets_lost: sum(({ lost }) => lost),
      concealed_samples: sum(({ concealed }) => concealed),
      jitter_ms: this.#jitterMs,
      jitter_max_ms: this.#jitterMaxMs
    }
  }
}
