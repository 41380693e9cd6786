/** Keys that one state of a node holds; more is a mistake, and fails the node that makes it. */
export const stateKeys = 256

/** Turns of a node whose state is kept: the running one and those that are coming to their end. */
const keptTurns = 4

/** What a node remembers, by key. Lives in memory and dies with its turn or its session; nothing of it is recorded. */
export interface NodeState {
  readonly get: (key: string) => unknown
  /** Throws when it would hold more than {@link stateKeys} keys. */
  readonly set: (key: string, value: unknown) => void
  readonly delete: (key: string) => void
  readonly keys: () => ReadonlyArray<string>
}

const makeState = (): NodeState => {
  const values = new Map<string, unknown>()
  return {
    get: (key) => values.get(key),
    set: (key, value) => {
      if (values.size >= stateKeys && !values.has(key)) {
        throw new Error(`a node's state holds ${stateKeys} keys at most`)
      }
      values.set(key, value)
    },
    delete: (key) => void values.delete(key),
    keys: () => [...values.keys()]
  }
}

/**
 * The states of the nodes of one session (CONTRACT, state): `turn` is turn-ephemeral and gone with the turn, `session`
 * is session-hot and may be lost in a takeover.
 */
export class NodeStates {
  readonly #sessions = new Map<string, NodeState>()
  readonly #turns = new Map<string, Map<string, NodeState>>()

  session(nodeId: string): NodeState {
    return remembered(this.#sessions, nodeId, makeState)
  }

  /** The state of a node for a turn; that of the oldest of more than {@link keptTurns} turns is dropped. */
  turn(nodeId: string, turnId: string): NodeState {
    const turns = remembered(this.#turns, nodeId, () => new Map<string, NodeState>())
    const state = remembered(turns, turnId, makeState)
    for (const oldest of turns.keys()) {
      if (turns.size <= keptTurns) break
      turns.delete(oldest)
    }
    return state
  }
}

const remembered = <V>(map: Map<string, V>, key: string, make: () => V): V => {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}
