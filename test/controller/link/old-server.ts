/** A real nats-server that says it is an older version: a proxy that changes the one word in its INFO. */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export async function pretendVersion(url: string, version: string): Promise<{ url: string; [Symbol.asyncDispose](): Promise<void> }> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    sockets.add(client).add(upstream);
    // Newer servers send INFO again after the log-in.
    upstream.on('data', (chunk: Buffer) => {
      client.write(chunk.toString('latin1').replaceAll(/"version":"[^"]*"/g, `"version":"${version}"`), 'latin1');
    });
    client.pipe(upstream);
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
