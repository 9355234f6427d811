import { createRequire } from 'node:module';

/** Of the package; agents and controllers of one package speak the same protocol. */
export const agentVersion: string = (createRequire(import.meta.url)('../package.json') as { version: string }).version;
