export function buildTaskLoader(options: { log: (line: string) => void }): Promise<{ missing: string; built: boolean }>;
