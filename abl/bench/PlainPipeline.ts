/** A plain unbounded queue with one reader: no lanes, no order between sources, no bound, no record. */
export class PlainQueue<A> {
  readonly #items: Array<A> = []
  #waiting: ((item: A) => void) | undefined

  get size(): number {
    return this.#items.length
  }

  push(item: A): void {
    const waiting = this.#waiting
    if (waiting === undefined) {
      this.#items.push(item)
      return
    }
    this.#waiting = undefined
    waiting(item)
  }

  shift(): A | undefined {
    return this.#items.shift()
  }

  take(): Promise<A> {
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift() as A)
    return new Promise((resolve) => {
      this.#waiting = resolve
    })
  }

  clear(): number {
    return this.#items.splice(0).length
  }
}

/**
 * The bare loop of a turn: the same stages (transcript → model → sentence → voice → frames) as asynchronous functions
 * over plain queues. Nothing is sequenced, recorded, fenced or bounded; it is what somebody writes in an afternoon.
 */
export class PlainPipeline {
  readonly transcripts = new PlainQueue<string>()
  readonly #sentences = new PlainQueue<string>()
  readonly #voice = new PlainQueue<Int16Array>()
  readonly frames: PlainQueue<Int16Array>
  /** Set by a cut: the stages let go of what they hold. */
  cut = false

  constructor(onFrame: (samples: Int16Array) => void, voiceMs: number) {
    this.frames = new PlainQueue()
    void this.#model()
    void this.#speak(voiceMs)
    void this.#play(onFrame)
  }

  async #model(): Promise<never> {
    for (;;) {
      await this.transcripts.take()
      for await (const delta of oneDelta()) this.#sentences.push(delta)
    }
  }

  async #speak(voiceMs: number): Promise<never> {
    for (;;) {
      await this.#sentences.take()
      for await (const samples of oneVoice(voiceMs)) this.#voice.push(samples)
    }
  }

  async #play(onFrame: (samples: Int16Array) => void): Promise<never> {
    for (;;) {
      const samples = await this.#voice.take()
      for (let at = 0; at < samples.length && !this.cut; at += 320) onFrame(samples.slice(at, at + 320))
    }
  }
}

async function* oneDelta(): AsyncGenerator<string> {
  yield "It is noon. "
}

async function* oneVoice(ms: number): AsyncGenerator<Int16Array> {
  yield new Int16Array(ms * 16).fill(3000)
}
