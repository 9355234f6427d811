export type Compiler = {
  name: string;
  command: string[];
  target: (part: 'library' | 'shim') => string[];
  /** Flags for a static, position-independent program. */
  staticPie: string[];
  /** Flags that make the stack protector's guard a variable of the program's own. */
  ownGuard: string[];
  hardening: string[];
};
export function findCompiler(options: { work: string; log: (line: string) => void; sanitize?: boolean }): Promise<Compiler>;
export function run(command: string[], options: { cwd?: string; what: string }): Promise<void>;
