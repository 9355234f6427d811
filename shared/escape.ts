/**
 * Text that a process of some host chose (names, command lines, paths) before it reaches a terminal: control characters could
 * move the cursor or start a sequence, bidirectional and invisible ones could make one name look like another.
 */

// Cc: C0, DEL, C1. Cf: bidirectional, zero-width, tags, soft hyphen. Zl, Zp: line and paragraph separator. Cs: a lone surrogate.
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]|\\(?=[xu])/gu;
const unsafeInJson = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/**
 * The text with everything a terminal would act on written as `\x1b` or `\u{202e}`, as lsns writes it. A backslash before x or u
 * becomes `\x5c`, so that two different texts never look the same.
 */
export function printable(text: string): string {
  return text.replaceAll(unsafe, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** A value as JSON in which no raw control, invisible or bidirectional character is left: JSON's own escapes keep it exact. */
export function printableJson(value: unknown, indent = 2): string {
  // Inside the strings only: JSON.stringify writes its own line breaks between them, as it escapes those within.
  return JSON.stringify(value, null, indent)
    .split('\n')
    .map((line) => line.replaceAll(unsafeInJson, jsonEscape))
    .join('\n');
}

function jsonEscape(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
