/** How many columns a terminal gives to a text. */

// East Asian wide and full-width blocks and emoji, in ranges: what glibc's wcwidth calls 2, without its thousands of single cases.
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const marks = /\p{Mn}|\p{Me}/u;
const ascii = /^[\x20-\x7e]*$/;

/** Columns that printable text takes: 2 for wide characters, 0 for combining marks, else 1. */
export function displayWidth(text: string): number {
  if (ascii.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

/** The longest beginning of the text that fits; `…` takes the last column where something was cut. */
export function cutToWidth(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  let kept = '';
  let width = 0;
  for (const character of text) {
    width += characterWidth(character);
    if (width > columns - 1) break;
    kept += character;
  }
  return columns < 1 ? '' : `${kept}…`;
}

function characterWidth(character: string): number {
  if (marks.test(character)) return 0;
  return wide.test(character) ? 2 : 1;
}
