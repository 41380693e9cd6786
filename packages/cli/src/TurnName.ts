/** The id of a turn as a person writes it: `3` is `turn_3`. */
export const turnIdOf = (text: string): string => /^[0-9]+$/u.test(text) ? `turn_${text}` : text
