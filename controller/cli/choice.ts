/** Options that take one of some words. */
import { NsfleetError } from '#shared/errors.ts';

/** The word, if it is one of them; else USAGE, which lists them. */
export function choiceOption<Word extends string>(option: string, text: string, words: readonly Word[]): Word {
  const word = words.find((one) => one === text);
  if (word !== undefined) return word;
  throw new NsfleetError('USAGE', {
    attempted: 'understand',
    target: `${option} ${text}`,
    reason: 'it is none of the words that this option takes',
    remedy: `choose from ${words.join(', ')}`,
  });
}
