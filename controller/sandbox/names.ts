/** Names for sandboxes that were given none: two words and four digits, easy to say and to type. */
import { randomInt } from 'node:crypto';

const adjectives = `
  amber ample agile brave brisk calm clear crisp deft early eager fair firm fleet fond fresh gentle glad grand green happy
  hardy keen kind late light lively lucid mellow mild modest neat noble plain polite proud quick quiet rapid ready rosy
  round sharp shy silent smart snug solid spry steady still sunny swift tidy vivid warm wise witty young zesty
`;
const animals = `
  badger bat beaver bee bison cat crane crow deer dove duck eagle egret elk falcon ferret finch fox frog gecko goat goose
  gull hare hawk heron horse ibex jay kite koala lark lion llama lynx marten mole moose newt otter owl panda perch pika
  puma quail raven robin seal shrew sloth stork swan tapir toad trout vole whale wolf wren
`;

/** `quiet-otter-4071`: one of 36 million. Two may still meet; the database's unique index tells. */
export function randomName(): string {
  const pick = (text: string) => {
    const words = text.trim().split(/\s+/);
    return words[randomInt(words.length)] ?? '';
  };
  return `${pick(adjectives)}-${pick(animals)}-${String(randomInt(10_000)).padStart(4, '0')}`;
}
