import * as NodeServices from "@effect/platform-node/NodeServices"
import { readAudioFile, readAudioStream, type WaveFileError } from "@rspp/transports/loopback/WaveFile"
import { openWaveWriter, waveHeader, writeWaveFile } from "@rspp/transports/loopback/WaveWriter"
import { assert, layer } from "@effect/vitest"
import { alaw, mulaw } from "alawmulaw"
import { Deferred, Effect, Exit, Fiber, FileSystem, PlatformError, Stream } from "effect"
import wavefile from "wavefile"
import { alawToPcm, mulawToPcm } from "../src/internal/SampleFormat.ts"

const { WaveFile } = wavefile

/** A sine of `hz` at half of full scale. */
const tone = (hz: number, rateHz: number, seconds: number): Array<number> =>
  Array.from(
    { length: Math.round(rateHz * seconds) },
    (_, i) => Math.round(16_000 * Math.sin(2 * Math.PI * hz * i / rateHz)) + 0
  )

/** The amplitude of `hz` in 16 kHz samples, away from the edges. */
const amplitude = (samples: Int16Array, hz: number): number => {
  let re = 0
  let im = 0
  const from = 1600
  const n = samples.length - 2 * from
  for (let i = 0; i < n; i++) {
    const phase = 2 * Math.PI * hz * i / 16_000
    re += samples[from + i]! * Math.cos(phase)
    im += samples[from + i]! * Math.sin(phase)
  }
  return 2 * Math.hypot(re, im) / n
}

/** A WAV made by an independent library. */
const wav = (samples: ReadonlyArray<number>, rateHz: number, depth = "16", channels = 1): Uint8Array => {
  const file = new WaveFile()
  file.fromScratch(channels, rateHz, "16", Int16Array.from(samples))
  if (depth === "8m") file.toMuLaw()
  else if (depth === "8a") file.toALaw()
  else if (depth === "4") file.toIMAADPCM()
  else if (depth !== "16") file.toBitDepth(depth)
  return file.toBuffer()
}

const read = (bytes: Uint8Array, raw?: { sampleRateHz: number; channels: number }) =>
  readAudioStream(Stream.make(bytes), "x.wav", raw ? { raw } : undefined)

const failure = (bytes: Uint8Array, raw?: { sampleRateHz: number; channels: number }) => Effect.flip(read(bytes, raw))

const refused = (error: WaveFileError, code: string, words: RegExp) => {
  assert.strictEqual(error.code, code, error.message)
  assert.match(error.message, words)
}

layer(NodeServices.layer)("WaveFile", (it) => {
  it.effect("reads 16 kHz mono 16-bit PCM sample by sample, in pieces of any size", () =>
    Effect.gen(function*() {
      const samples = tone(440, 16_000, 0.5)
      const bytes = wav(samples, 16_000)
      for (const size of [1, 7, 1000]) {
        const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
          bytes.slice(i * size, (i + 1) * size))
        const recording = yield* readAudioStream(Stream.fromIterable(pieces), "x.wav")
        assert.deepStrictEqual(Array.from(recording.samples), samples)
        assert.deepStrictEqual(recording.notices, [])
      }
    }))

  it.effect.each(["8", "24", "32", "32f", "64", "8m", "8a"])(
    "reads %s-bit audio within its precision",
    (depth) =>
      Effect.gen(function*() {
        const samples = tone(440, 16_000, 0.2)
        const recording = yield* read(wav(samples, 16_000, depth))
        assert.strictEqual(recording.samples.length, samples.length)
        const tolerance = depth === "8" ? 400 : depth.startsWith("8") ? 520 : 1
        for (let i = 0; i < samples.length; i++) {
          assert.isAtMost(Math.abs(recording.samples[i]! - samples[i]!), tolerance, `sample ${i}`)
        }
      })
  )

  it("decodes every byte of μ-law and A-law as an independent decoder does", () => {
    for (let byte = 0; byte < 256; byte++) {
      assert.strictEqual(mulawToPcm(byte), mulaw.decodeSample(byte), `μ-law ${byte}`)
      assert.strictEqual(alawToPcm(byte), alaw.decodeSample(byte), `A-law ${byte}`)
    }
  })

  it.effect.each([8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])(
    "resamples %d Hz with length, position and level kept",
    (rate) =>
      Effect.gen(function*() {
        const { samples } = yield* read(wav(tone(1000, rate, 1), rate))
        assert.strictEqual(samples.length, 16_000)
        assert.closeTo(amplitude(samples, 1000), 16_000, 200)
        // No delay: the phase is that of the original.
        let error = 0
        for (let i = 1600; i < 14_400; i++) {
          error = Math.max(error, Math.abs(samples[i]! - 16_000 * Math.sin(2 * Math.PI * 1000 * i / 16_000)))
        }
        assert.isBelow(error, 250)
      })
  )

  it.effect("keeps what is above 8 kHz out of the resampled audio", () =>
    Effect.gen(function*() {
      const { samples } = yield* read(wav(tone(11_000, 48_000, 1), 48_000))
      assert.isBelow(amplitude(samples, 5_000), 20)
    }))

  it.effect("mixes stereo down to its mean, with a notice", () =>
    Effect.gen(function*() {
      const recording = yield* read(wav([1000, 3000, -2000, 2000, 30_000, 30_000], 16_000, "16", 2))
      assert.deepStrictEqual(Array.from(recording.samples), [2000, 0, 30_000])
      assert.match(recording.notices.join(), /x\.wav is stereo; it was mixed down to mono/)
    }))

  it.effect("reads raw PCM and leaves half a sample out, with a notice", () =>
    Effect.gen(function*() {
      const bytes = new Uint8Array(Int16Array.from([1000, 2000, -1000]).buffer)
      const recording = yield* read(new Uint8Array([...bytes, 1]), { sampleRateHz: 16_000, channels: 1 })
      assert.deepStrictEqual(Array.from(recording.samples), [1000, 2000, -1000])
      assert.match(recording.notices.join(), /last 1 bytes were left out/)
    }))

  it.effect("reads what is there of a file that is cut short, with a notice", () =>
    Effect.gen(function*() {
      const bytes = wav(tone(440, 16_000, 1), 16_000)
      const recording = yield* read(bytes.slice(0, 44 + 8001))
      assert.strictEqual(recording.samples.length, 4000)
      assert.match(recording.notices.join(), /cut short: it has 0\.250 s of the 1\.000 s/)
    }))

  it.effect("reads a stream whose header gives no length, to its end", () =>
    Effect.gen(function*() {
      for (const [riff, data] of [[0xffffffff, 0xffffffff], [0, 0], [36, 0]] as const) {
        const bytes = wav(tone(440, 16_000, 0.1), 16_000)
        const view = new DataView(bytes.buffer, bytes.byteOffset)
        view.setUint32(4, riff, true)
        view.setUint32(40, data, true)
        const recording = yield* read(bytes)
        assert.strictEqual(recording.samples.length, 1600)
        assert.deepStrictEqual(recording.notices, [])
      }
    }))

  it.effect("skips other chunks, before and after the audio", () =>
    Effect.gen(function*() {
      const file = new WaveFile()
      file.fromScratch(1, 16_000, "16", Int16Array.from([1000, 2000]))
      file.setTag("ICMT", "odd length")
      file.setCuePoint({ position: 1, label: "here" })
      const bytes = file.toBuffer()
      // Move the LIST chunk in front of the data as well.
      const list = new Uint8Array([...new TextEncoder().encode("LIST"), 5, 0, 0, 0, 1, 2, 3, 4, 5, 0])
      const both = new Uint8Array([...bytes.slice(0, 36), ...list, ...bytes.slice(36)])
      assert.deepStrictEqual(Array.from((yield* read(both)).samples), [1000, 2000])
    }))

  it.effect("says so when there is only silence", () =>
    Effect.gen(function*() {
      const { notices } = yield* read(wav(Array(1600).fill(3), 16_000))
      assert.match(notices.join(), /only silence/)
    }))

  it.effect("refuses what it cannot play, and says what and why", () =>
    Effect.gen(function*() {
      const text = (s: string) => new TextEncoder().encode(s)
      const good = wav(tone(440, 16_000, 0.1), 16_000)
      const patched = (at: number, ...bytes: ReadonlyArray<number>) => {
        const copy = good.slice()
        copy.set(bytes, at)
        return copy
      }
      refused(yield* failure(new Uint8Array(0)), "empty", /x\.wav cannot be played: it is empty/)
      refused(yield* failure(text("hello, this is a text and no audio at all")), "not_wav", /no RIFF header.*ffmpeg/)
      refused(yield* failure(text("hi")), "not_wav", /no RIFF header/)
      refused(yield* failure(text("OggS............")), "not_wav", /it is an Ogg file/)
      refused(yield* failure(text("....ftypM4A ....")), "not_wav", /MP4 or M4A/)
      refused(yield* failure(text("RIFX....WAVEfmt ")), "unsupported_codec", /big-endian/)
      refused(yield* failure(wav(tone(440, 8_000, 0.5), 8_000, "4")), "unsupported_codec", /IMA ADPCM/)
      refused(yield* failure(patched(20, 0x55, 0)), "unsupported_codec", /MP3/)
      refused(yield* failure(patched(34, 12, 0)), "unsupported_codec", /12-bit PCM/)
      refused(yield* failure(patched(20, 0x99, 0x99)), "unsupported_codec", /0x9999/)
      refused(yield* failure(wav([1, 2, 3], 4_000)), "unsupported_rate", /4000 Hz; 8000 to 192000/)
      refused(yield* failure(patched(24, 0, 0xe2, 4, 0)), "unsupported_rate", /320000 Hz/)
      refused(yield* failure(patched(22, 0, 0)), "malformed", /0 channels/)
      refused(yield* failure(patched(32, 3, 0)), "malformed", /contradicts itself/)
      refused(yield* failure(good.slice(0, 30)), "malformed", /no data chunk/)
      refused(yield* failure(patched(12, ...text("junk"))), "malformed", /no fmt chunk/)
      refused(yield* failure(waveHeader(1, 0)), "no_samples", /only a header/)
      refused(yield* failure(new Uint8Array(1), { sampleRateHz: 16_000, channels: 1 }), "no_samples", /no samples/)
      refused(yield* failure(new Uint8Array(2), { sampleRateHz: 100, channels: 1 }), "unsupported_rate", /100 Hz/)
      refused(yield* failure(new Uint8Array(2), { sampleRateHz: 16_000, channels: 0 }), "bad_options", /channels/)
      const hours = good.slice()
      new DataView(hours.buffer, hours.byteOffset).setUint32(40, 4 * 3600 * 32_000 + 2, true)
      refused(yield* failure(hours), "too_long", /longer than 4 hours/)
    }))

  it.effect("stops an endless stream at the bound", () =>
    Effect.gen(function*() {
      const endless = Stream.forever(Stream.make(new Uint8Array(10_000)))
      const raw = { sampleRateHz: 8_000, channels: 2 }
      const error = yield* Effect.flip(readAudioStream(endless, "stdin", { raw, maxSeconds: 10 }))
      refused(error, "too_long", /stdin cannot be played: it is longer than 10 seconds/)
    }))

  it.effect("refuses missing files, directories and files that may not be read", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const dir = yield* fs.makeTempDirectoryScoped()
      refused(
        yield* Effect.flip(readAudioFile(`${dir}/none.wav`)),
        "missing",
        /none\.wav cannot be played: there is no such file/
      )
      refused(yield* Effect.flip(readAudioFile(dir)), "directory", /it is a directory/)
      yield* fs.writeFileString(`${dir}/empty.wav`, "")
      refused(yield* Effect.flip(readAudioFile(`${dir}/empty.wav`)), "empty", /0 bytes/)
      refused(yield* Effect.flip(readAudioFile(`${dir}/empty.wav/x`)), "unreadable", /ENOTDIR/)
      const denied = PlatformError.systemError({ _tag: "PermissionDenied", module: "FileSystem", method: "stat" })
      const locked = FileSystem.makeNoop({ stat: () => Effect.fail(denied) })
      const error = yield* Effect.flip(
        Effect.provideService(readAudioFile("locked.wav"), FileSystem.FileSystem, locked)
      )
      refused(error, "unreadable", /check its permissions/)
    }))

  it.effect("writes files that an independent reader reads back, whole and piece by piece", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const dir = yield* fs.makeTempDirectoryScoped()
      const samples = Int16Array.from([1, -2, 32767, -32768, 5, 6])
      yield* writeWaveFile(`${dir}/a.wav`, samples, 2)
      const file = new WaveFile(yield* fs.readFile(`${dir}/a.wav`))
      assert.strictEqual((file.fmt as { numChannels: number }).numChannels, 2)
      assert.strictEqual((file.fmt as { sampleRate: number }).sampleRate, 16_000)
      assert.deepStrictEqual(Array.from(file.getSamples(true, Int16Array)), Array.from(samples))
      yield* Effect.scoped(Effect.gen(function*() {
        const writer = yield* openWaveWriter(`${dir}/b.wav`, 1)
        yield* writer.append(samples.subarray(0, 1))
        yield* writer.finish
        yield* writer.append(samples.subarray(1))
      }))
      assert.deepStrictEqual((yield* readAudioFile(`${dir}/b.wav`)).samples, samples)
    }))

  it.effect("leaves a valid file when the writing fiber is interrupted", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const dir = yield* fs.makeTempDirectoryScoped()
      const ready = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(Effect.scoped(Effect.gen(function*() {
        const writer = yield* openWaveWriter(`${dir}/c.wav`, 1)
        yield* writer.append(Int16Array.from([1000, 2000, 3000]))
        yield* Deferred.succeed(ready, undefined)
        return yield* Effect.never
      })))
      yield* Deferred.await(ready)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      assert.deepStrictEqual(Array.from((yield* readAudioFile(`${dir}/c.wav`)).samples), [1000, 2000, 3000])
    }))
})
