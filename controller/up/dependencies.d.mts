type Lock = { packages: Record<string, { version?: string; integrity?: string; optional?: boolean }> };

export const root: string;
export function ensureDependencies(say: (line: string) => void): Promise<void>;
export function agrees(lock: Lock, installed: Lock | null): boolean;
