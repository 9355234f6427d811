/**
 * Text that a process chose itself (comm, command line) ends up on terminals, in JSON and in Postgres: control characters, which move
 * cursors, and format characters, some of which reorder a line, become `?`.
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** `text` without what a terminal would act on, cut to `maxChars` UTF-16 units without splitting a character. */
export function cleanText(text: string, maxChars: number): string {
  const cut = text.length > maxChars ? text.slice(0, maxChars) : text;
  return cut
    .toWellFormed()
    .replace(/\ufffd$/u, '')
    .replaceAll(unsafe, '?');
}
