/** `nsfleet host …`: declarations only. */
import { Command } from 'commander';
import type { Attach } from '../program.ts';

export function hostCommand(attach: Attach): Command {
  const host = new Command('host').description('hosts that run an agent');
  const list = new Command('ls').alias('list').description('list hosts');
  attach(list, async (session) => (await import('../host/list.ts')).listHosts(session));

  const show = new Command('show').description('show one host').argument('<host>', 'id or name');
  attach(show, async (session) => (await import('../host/show.ts')).showHost(session, String(show.args[0])));
  return host.addCommand(list).addCommand(show);
}
