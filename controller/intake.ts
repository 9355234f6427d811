/**
 * The door for what agents say: size, version and shape are checked, the host in the subject (which the server's permissions vouch
 * for) must be the host in the message, and the answer goes nowhere but to that host. Whatever does not fit is refused with a code,
 * counted, and changes nothing; the connection stays. A host that says too much is not even read.
 */
import type { z } from 'zod';
import { NsfleetError, asNsfleetError } from '#shared/errors.ts';
import { HostId } from '#shared/host.ts';
import { reportPagesMax } from '#shared/inventory.ts';
import type { ReportReply } from '#shared/inventory.ts';
import type { Log } from '#shared/log.ts';
import {
  controllerQueue,
  decodeMessage,
  encodeReply,
  hostOfSubject,
  messageMaxBytes,
  protocolVersion,
  subjects,
} from '#shared/messages.ts';
import type { HelloReply, MessageOf, StatusReply } from '#shared/messages.ts';
import { createLanes } from './lanes.ts';
import { createRations } from './rations.ts';
import type { Link, Received } from './link.ts';
import type { Metrics } from './metrics.ts';

type Name = 'hello' | 'beat' | 'report' | 'status';
type Replies = { hello: z.output<typeof HelloReply>; beat: null; report: z.output<typeof ReportReply>; status: StatusReply };

/** What is done with each message. A throw is answered with its code, where the reply can carry one. */
export type Hearing = { [N in Name]: (message: MessageOf<N>) => Promise<Replies[N]> };

/** How a refusal looks in each reply; null where the reply has no room for one and silence makes the agent repeat. */
const refusals: { [N in Name]: (error: NsfleetError) => Replies[N] | null } = {
  hello: (error) => ({ v: protocolVersion, accepted: false, error: error.toWire() }),
  beat: () => null,
  report: (error) => ({ v: protocolVersion, result: 'refused', seq: 0, code: error.code, reason: error.message }),
  status: () => null,
};

/** Each message is a transaction or two: more at once than the pool has connections would only queue there. */
const concurrentMessages = 16;
/** A correct agent has one report and one status message in flight; repeats after a lost answer may add a few. */
const waitingPerHost = 8;
/** 10,000 hosts that reconnect at once say hello within a second or two; beyond this they are told to repeat. */
const waitingMessages = 20_000;

/** Of each kind of message: above what a host reports that starts hundreds of processes a second, and a whole report of the largest at once. */
const rationPerHost = { bytesPerSecond: 512 * 1024, burstBytes: reportPagesMax * messageMaxBytes };

export type Intake = { close(): Promise<void> };

/** Subscribes in the controllers' queue group: each message reaches one controller. */
export function startIntake(link: Link, hearing: Hearing, metrics: Metrics, log: Log, ration = rationPerHost): Intake {
  const rations = createRations(ration);
  const lanes = createLanes({ concurrent: concurrentMessages, waitingPerLane: waitingPerHost, waiting: waitingMessages });

  /** `known`: the line before in the log says the same. */
  const refuse = <N extends Name>(name: N, message: Received, hostId: string, error: NsfleetError, known = false) => {
    metrics.messages.inc({ name, outcome: error.code });
    if (!known) log.warn({ name, hostId, code: error.code, reason: error.reason.slice(0, 300) }, 'refused a message');
    const reply = refusals[name](error);
    if (reply !== null) answer(name, message, hostId, reply);
  };
  const answer = <N extends Name>(name: N, message: Received, hostId: string, reply: Replies[N]) => {
    if (name === 'beat' || reply === null || !answersOwnHost(message, hostId)) return;
    link.publish(message.reply as string, encodeReply(name, reply as never));
  };
  const hear = async <N extends Name>(name: N, message: Received, hostId: string, decoded: MessageOf<N>) => {
    try {
      const reply = await hearing[name](decoded as never);
      metrics.messages.inc({ name, outcome: 'ok' });
      answer(name, message, hostId, reply);
    } catch (error) {
      if (!(error instanceof NsfleetError)) log.error({ err: error, name, hostId }, 'a message could not be handled');
      refuse(name, message, hostId, asNsfleetError(error, `handle ${name} of`, hostId));
    }
  };
  const onMessage = <N extends Name>(name: N, message: Received) => {
    const hostId = hostOfSubject(message.subject);
    try {
      // Before it is read: reading is what costs.
      const left = rations.take(`${name} ${hostId}`, message.data.length);
      if (left !== 'enough') return refuse(name, message, hostId, overRation(name, hostId), left === 'none');
      const decoded = read(name, message, hostId);
      const entered = lanes.enter(`${name} ${hostId}`, () => hear(name, message, hostId, decoded));
      if (!entered)
        throw new NsfleetError('UNAVAILABLE', { attempted: `handle ${name} of`, target: hostId, reason: 'too many wait already' });
    } catch (error) {
      refuse(name, message, hostId, asNsfleetError(error, `read ${name} of`, hostId));
    }
  };

  const names: Name[] = ['hello', 'beat', 'report', 'status'];
  const endings = names.map((name) => link.subscribe(subjects.fromAnyAgent(name), (message) => onMessage(name, message), controllerQueue));
  return {
    async close() {
      for (const end of endings) end();
      await lanes.idle();
    },
  };
}

/** The message, if it is one, and if it speaks for the host whose subject it came on. */
function read<N extends Name>(name: N, message: Received, hostId: string): MessageOf<N> {
  const refuse = (reason: string) => new NsfleetError('MESSAGE_MALFORMED', { attempted: 'read', target: `${name} of ${hostId}`, reason });
  if (!HostId.safeParse(hostId).success) throw refuse('the subject holds no host id');
  if (message.reply !== undefined && !answersOwnHost(message, hostId)) {
    // A controller may publish to every host: an agent that names another host's subject would have its answer delivered there.
    throw refuse(`it wants its answer on ${message.reply.slice(0, 100)}, outside its own inbox`);
  }
  const decoded = decodeMessage(name, message.data);
  const claimed = 'host' in decoded ? decoded.host.hostId : decoded.hostId;
  if (claimed !== hostId) throw refuse(`it came on the subject of ${hostId} and claims to be of ${claimed.slice(0, 64)}`);
  return decoded;
}

function overRation(name: Name, hostId: string): NsfleetError {
  const reason = 'this host says more than one may';
  return new NsfleetError('RATE_LIMITED', { attempted: `handle ${name} of`, target: hostId, reason, remedy: 'repeat in a few seconds' });
}

function answersOwnHost(message: Received, hostId: string): boolean {
  return message.reply?.startsWith(`${subjects.inboxPrefix(hostId)}.`) ?? false;
}
