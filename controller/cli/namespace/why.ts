/** `nsfleet ns why`. */
import { connect } from '../connection.ts';
import { printJson } from '../output/json.ts';
import { joined, raw, shown } from '../output/raw.ts';
import type { Session } from '../session.ts';
import { calledText } from './names.ts';
import { whichQuery } from './show.ts';
import type { WhichOptions } from './show.ts';

/** Prints in sentences why a namespace is alive. */
export async function tellWhy(session: Session, name: string, options: WhichOptions): Promise<number> {
  const why = await connect(session).client.call('namespaceWhy', { params: { namespace: name }, query: whichQuery(options) });
  if (session.json) {
    printJson(session, why);
    return 0;
  }
  const { id, type, inode, hostName } = why.namespace;
  const called = calledText(why.namespace);
  const heading = shown`${type} namespace ${id} (inode ${inode}) on ${hostName}${called === null ? '' : shown`, ${called}`}:`;
  // They quote what processes chose.
  session.stdout.write(`${joined([heading, ...why.sentences.map((sentence) => shown`  ${raw(sentence)}`)], '\n').shown}\n`);
  return 0;
}
