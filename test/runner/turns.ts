/** Files run side by side, but are read one after the other: the oldest one that runs is printed as it goes, the others wait. */

export class Turns {
  readonly #print: (text: string) => void;
  readonly #waiting: { text: string; over: boolean }[] = [];

  constructor(print: (text: string) => void) {
    this.#print = print;
  }

  /** A place behind all others. */
  take(): { print(text: string): void; end(): void } {
    const place = { text: '', over: false };
    this.#waiting.push(place);
    return {
      print: (text) => {
        place.text += text;
        this.#flush();
      },
      end: () => {
        place.over = true;
        this.#flush();
      },
    };
  }

  #flush(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (first.text !== '') this.#print(first.text);
      first.text = '';
      if (!first.over) return;
      this.#waiting.shift();
    }
  }
}
