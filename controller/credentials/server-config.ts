/** A nats-server's configuration: JWT mode with the operator's keys, core NATS only, small limits. */
import { encodeAccount, encodeOperator } from '@nats-io/jwt';
import { readOperatorKeys } from './keys.ts';
import type { NatsKeys } from './keys.ts';

/** The largest message. shared/messages.ts stays 16 KiB below it. */
export const payloadMaxBytes = 256 * 1024;
/** Subjects and headers of this contract fit into a tenth of it. */
const controlLineMaxBytes = 4096;
/** Tens of thousands of hosts, each one connection, and room for their reconnects. */
const connectionsMax = 65_536;

export type ServerSettings = {
  /** Address to listen on. */
  host: string;
  /** -1 lets the server choose; it then writes the port into `portsFileDir`. */
  port: number;
  portsFileDir?: string;
  pidFile?: string;
};

/** The text of the configuration file. Holds JWTs and public keys, no secret. */
export async function serverConfig(keys: NatsKeys, settings: ServerSettings): Promise<string> {
  const { operator, systemAccount, account } = readOperatorKeys(keys.dir);
  const operatorJwt = await encodeOperator('nsfleet', operator, { system_account: systemAccount.getPublicKey() });
  const systemJwt = await encodeAccount('SYS', systemAccount, { limits: unlimited }, { signer: operator });
  const accountJwt = await encodeAccount(
    'nsfleet',
    account,
    {
      signing_keys: [keys.signer.getPublicKey()],
      limits: { ...unlimited, conn: connectionsMax, payload: payloadMaxBytes, imports: 0, exports: 0, leaf: 0, disallow_bearer: true },
    },
    { signer: operator },
  );
  const lines: Record<string, unknown> = {
    host: settings.host,
    port: settings.port,
    max_payload: payloadMaxBytes,
    max_control_line: controlLineMaxBytes,
    max_connections: connectionsMax,
    operator: operatorJwt,
    system_account: systemAccount.getPublicKey(),
    resolver: 'MEMORY',
    resolver_preload: { [systemAccount.getPublicKey()]: systemJwt, [account.getPublicKey()]: accountJwt },
  };
  if (settings.portsFileDir !== undefined) lines['ports_file_dir'] = settings.portsFileDir;
  if (settings.pidFile !== undefined) lines['pid_file'] = settings.pidFile;
  // JSON is a subset of the server's syntax.
  return `${JSON.stringify(lines, null, 2)}\n`;
}

const unlimited = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  conn: -1,
  leaf: -1,
  disallow_bearer: false,
};
