import type { RandomStream } from "./RandomStreams.ts"

/**
 * A distribution by its quantiles: pairs of a part (0 to 1, rising) and a value, linear in between. The first part is 0
 * and the last is 1. Published figures come as quantiles, and nothing here needs a logarithm, so that every machine
 * draws the same.
 */
export type Quantiles = readonly [readonly [number, number], ...ReadonlyArray<readonly [number, number]>]

/** A value of the distribution. */
export const draw = (quantiles: Quantiles, stream: RandomStream): number => {
  const u = stream.unit()
  let [below, value] = quantiles[0]
  for (const [part, here] of quantiles) {
    if (u < part) return value + ((here - value) * (u - below)) / (part - below)
    below = part
    value = here
  }
  return value
}

/** A vendor's latency as it was published, in ms. What the source does not say (the tails) is named as assumed. */
export interface Published {
  readonly name: string
  readonly source: string
  readonly firstMs: Quantiles
}

/**
 * Voices: time from request to first audio. Medians and inter-quartile ranges of Coval's independent benchmark, captured
 * on 2026-05-04, as published at https://gradium.ai/content/tts-latency-benchmark-2026: Cartesia Sonic-3 188 ms (IQR 100),
 * ElevenLabs Turbo v2.5 264 ms (28), Deepgram Aura-2 313 ms (68). Assumed: minimum two IQR below the median, a 99th
 * percentile of three times the median and a worst case of 1.8 s.
 */
export const voices = [
  voice("Cartesia Sonic-3", 188, 100),
  voice("ElevenLabs Turbo v2.5", 264, 28),
  voice("Deepgram Aura-2", 313, 68)
] as const

function voice(name: string, median: number, iqr: number): Published {
  return {
    name,
    source: "https://gradium.ai/content/tts-latency-benchmark-2026",
    firstMs: [
      [0, Math.max(40, median - 2 * iqr)],
      [0.25, median - iqr / 2],
      [0.5, median],
      [0.75, median + iqr / 2],
      [0.99, median * 3],
      [1, 1800]
    ]
  }
}

/**
 * Language models: time to first token and tokens per second. Medians of hourly probes published at
 * https://www.jonathanwrede.de/en/blog/ttft-varies-13x-across-llm-providers/: Gemini 2.5 Flash Lite 321 ms and 192
 * tokens/s, Gemini 2.5 Flash 412 ms and 236 tokens/s, GPT-5.4 912 ms and 45 tokens/s. The 99th percentile of 2.1 s for
 * standard endpoints is from https://callsphere.ai/blog/vw8c-llm-ttft-reduction-voice-agents-2026. Assumed: the rest of
 * the tails.
 */
export const models = [
  model("Gemini 2.5 Flash Lite", 321, 192),
  model("Gemini 2.5 Flash", 412, 236),
  model("GPT-5.4", 912, 45)
] as const

function model(name: string, median: number, tokensPerSecond: number): Published & { readonly perTokenMs: number } {
  return {
    name,
    source: "https://www.jonathanwrede.de/en/blog/ttft-varies-13x-across-llm-providers/",
    firstMs: [[0, median * 0.55], [0.5, median], [0.9, median * 1.7], [0.99, Math.max(2100, median * 2)], [1, 4000]],
    perTokenMs: 1000 / tokensPerSecond
  }
}

/**
 * Recognisers: from the end of speech to the final text. AssemblyAI states about 300 ms for immutable transcripts
 * (https://www.assemblyai.com/blog/introducing-universal-streaming), Deepgram "300 milliseconds or less" for streaming
 * (https://developers.deepgram.com/docs/measuring-streaming-latency). Assumed: the spread around them.
 */
export const recognisers: readonly [Published, ...ReadonlyArray<Published>] = [
  {
    name: "AssemblyAI Universal-Streaming",
    source: "https://www.assemblyai.com/blog/introducing-universal-streaming",
    firstMs: [[0, 150], [0.5, 300], [0.95, 480], [0.99, 900], [1, 1500]]
  },
  {
    name: "Deepgram Nova",
    source: "https://developers.deepgram.com/docs/measuring-streaming-latency",
    firstMs: [[0, 80], [0.5, 190], [0.95, 300], [0.99, 700], [1, 1200]]
  }
]
