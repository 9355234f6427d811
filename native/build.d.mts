export type NativePart = 'library' | 'shim' | 'tasks';
export type BuildOptions = { log?: (line: string) => void; strict?: boolean; sanitize?: boolean; parts?: NativePart[] };
export function buildNative(options?: BuildOptions): Promise<{ library: string; shim: string; compiler: string; built: boolean }>;
