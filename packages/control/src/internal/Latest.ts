/** Makes a key of a map the latest, and forgets the one that was set longest ago when there are more than `most`. */
export const setLatest = <A>(known: Map<string, A>, key: string, value: A, most: number): void => {
  known.delete(key)
  known.set(key, value)
  const [oldest] = known.keys()
  if (known.size > most && oldest !== undefined) known.delete(oldest)
}
