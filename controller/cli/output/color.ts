/** Colour where there is a terminal and nobody asked for none. */
import { styleText } from 'node:util';

export type Paint = 'green' | 'yellow' | 'red' | 'dim';

/** The text in a colour. Whether to paint at all is decided once, in the session. */
export function paint(style: Paint, text: string): string {
  return styleText(style, text, { validateStream: false });
}

/** The colour of a state or status word: green is well, yellow is on its way, red needs a look. */
export function stateColor(state: string): Paint | null {
  if (state === 'running' || state === 'ready') return 'green';
  if (state === 'placed' || state === 'paused' || state === 'stopping' || state === 'unknown') return 'yellow';
  if (state === 'failed' || state === 'lost') return 'red';
  return null;
}
