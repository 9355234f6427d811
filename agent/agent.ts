/** An agent from its settings: what it is made of, and in which order that starts and ends. */
import { fileURLToPath } from 'node:url';
import { loadNative } from '#native/binding.ts';
import { sleep } from '#shared/async.ts';
import type { Log } from '#shared/log.ts';
import { protocolVersion } from '#shared/messages.ts';
import { placementDigest } from '#shared/placement.ts';
import type { PlacementStatus } from '#shared/sandbox.ts';
import { noCgroups, openCgroups } from './cgroup/hierarchy.ts';
import { createChanges } from './changes/source.ts';
import type { AgentSettings } from './config.ts';
import { examine, firstLook } from './doctor.ts';
import { nextEpoch } from './epoch.ts';
import { helloOf, load1, readBootId, readFacts } from './fingerprint.ts';
import { createHeartbeat } from './heartbeat.ts';
import { createGreeting } from './greeting.ts';
import { openImageStore } from './image/store.ts';
import { createDescriber } from './inventory/describe/describe.ts';
import { withCgroups } from './inventory/describe/holder-cgroups.ts';
import { createDiscovery } from './inventory/discover.ts';
import { openGenerations } from './inventory/generations.ts';
import { createReporter } from './inventory/reporter.ts';
import { chooseTaskSource } from './inventory/task-source.ts';
import { createWatch } from './inventory/watch.ts';
import { openLink } from './link.ts';
import type { Link } from './link.ts';
import { lockStateDirectory } from './lock.ts';
import { createActions } from './namespaces/actions.ts';
import { keptDirectories } from './namespaces/kept-files.ts';
import { createOutbox } from './outbox.ts';
import { createQuestions } from './questions.ts';
import { acceptThrough, adoptAll } from './sandbox/adopt.ts';
import { sandboxNameOf } from './sandbox/owned-namespaces.ts';
import { readKernelFacts } from './sandbox/kernel-facts.ts';
import { createPlacements } from './sandbox/placements.ts';
import { createReadyPool } from './sandbox/ready-pool.ts';
import { readHostRootFacts } from './sandbox/root-facts.ts';
import { openStateFiles } from './sandbox/state.ts';
import { openTombstones } from './sandbox/tombstones.ts';
import { createTurns } from './sandbox/turns.ts';

/** Who asked for an action waits this long at most for its report to be committed. */
const settleMs = 2000;

/** Built by native/build.mjs. */
const shimPath = fileURLToPath(new URL('../native/build/nsfleet-shim', import.meta.url));

/**
 * Runs until the signal aborts, then ends in order; sandboxes run on. Throws what keeps it from starting: ALREADY_RUNNING,
 * NATIVE_UNAVAILABLE, PROC_UNAVAILABLE, STATE_DIRECTORY_UNUSABLE, NATS_DENIED, NATS_TOO_OLD.
 */
export async function runAgent(settings: AgentSettings, log: Log, signal: AbortSignal): Promise<void> {
  using _lock = lockStateDirectory(settings.stateDirectory);
  const native = loadNative();
  const bootId = readBootId();
  using program = native.sealProgram(shimPath);
  using tasks = await chooseTaskSource(native, log);
  const facts = readFacts(native, tasks);
  const epoch = await nextEpoch(settings.stateDirectory);
  const { hostId, stateDirectory } = settings;
  const identity = { hostId, bootId, epoch };
  const v = protocolVersion;
  // Questions and wishes come over the link, so they find it there.
  let link: Link | null = null;
  const linked = (): Link => {
    if (link === null) throw new Error('not connected yet');
    return link;
  };

  const generations = await openGenerations(stateDirectory, bootId);
  let hello = helloOf(settings, bootId, epoch, facts);
  const sourceKnown = Promise.withResolvers<void>();
  let greeted = false;
  const greeting = createGreeting(
    () => hello,
    (hello, ms) => linked().request('hello', { v, host: hello }, ms),
    log,
  );
  const reporter = createReporter(
    identity,
    (report, ms) => linked().request('report', report, ms),
    (signal) => greeting.greet(signal),
    log,
    withCgroups,
  );
  const describer = createDescriber({ native, sandboxOf: (namespace) => sandboxNameOf(placements.all(), namespace) });
  const watch = createWatch({
    native,
    discovery: createDiscovery({ ...native, scan: () => tasks.scan() }),
    changes: createChanges({ native, program, log, best: settings.changeSource }),
    generations,
    describer,
    intervalMs: settings.scanIntervalMs,
    fullIntervalMs: settings.fullScanIntervalMs,
    log,
    onSource(changeSource, changeSourceReason) {
      sourceKnown.resolve();
      hello = { ...hello, facts: { ...hello.facts, changeSource, changeSourceReason } };
      if (greeted) introduce();
    },
    onModel: (model) => reporter.offer(model),
  });
  const outbox = createOutbox(
    (statuses, ms) => linked().request('status', { v, ...identity, statuses }, ms),
    (status) => placements.acknowledged(status),
    log,
  );
  const heartbeat = createHeartbeat(settings.beatIntervalMs, () => {
    const held = placements.summaries().filter(({ state }) => state !== 'removed');
    link?.beat({ v, ...identity, seq: reporter.seq, digest: placementDigest(held), placements: held.length, load1: load1() });
  });

  const owner = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  const files = openStateFiles(stateDirectory);
  // A plain user's plans need the host's mounts inside, which nothing that waits may hold.
  const host = readHostRootFacts();
  const kernel = readKernelFacts(facts.privileged);
  const cgroups = facts.privileged ? openCgroups(hostId, settings.cgroupParent) : noCgroups('the agent runs as a plain user');
  const ready = createReadyPool({
    native,
    program,
    cgroups,
    host,
    kernel,
    log,
    makeSpare: () => files.makeSpare(),
    size: facts.privileged ? settings.readySandboxes : 0,
  });
  const joins = {
    initOf(name: string) {
      for (const { record } of placements.all()) if (record.desired.name === name && record.state === 'running') return record.init;
      return null;
    },
    model: () => watch.scanNow(),
  };
  const doctor = { native, program, owner, idPool: settings.policy.idPool, directory: stateDirectory, cgroups, tasks };
  const images = await openImageStore({ native, program, stateDirectory, ...settings.images, log });
  const runner = { native, images, program, ready, host, kernel, policy: settings.policy, cgroups, owner, joins, log };
  const placementsParts = {
    runner,
    files,
    tombstones: await openTombstones(stateDirectory),
    idPool: facts.privileged ? settings.policy.idPool : null,
    generationOf: (inode: number) => generations.of(inode),
    log,
    // Monotonic while the agent lives: no grace depends on somebody setting the clock.
    nowMs: () => Math.round(performance.timeOrigin + performance.now()),
    bootId,
    tell: (status: PlacementStatus) => outbox.put(status),
    onChange: () => {
      heartbeat.poke();
      watch.poke();
    },
  };
  const placements = createPlacements(placementsParts);
  const adoptParts = { ...placementsParts, placements, onDamaged: (error: Error) => log.error(error.message) };
  const adopted = await adoptAll(adoptParts);
  log.info({ running: adopted.running, ended: adopted.ended, reaped: adopted.reaped, nameless: adopted.nameless.size }, 'took stock');
  const used = new Set([...placements.all()].flatMap(({ record }) => record.cgroup ?? []));
  for (const name of cgroups.sweep(used))
    log.warn({ cgroup: name }, 'a cgroup of an earlier life of this agent is in use by nobody who is known');
  const accept = acceptThrough(adoptParts, adopted.nameless);
  const questions = createQuestions({
    examine: () => examine(doctor),
    link: linked,
    watch,
    reporter,
    placements,
    directoryOf: (placementId) => files.directoryOf(placementId),
    runner,
    actions: createActions({
      runner,
      watch,
      settled: async () => {
        await Promise.race([reporter.whenCommitted(await watch.scanNow()), sleep(settleMs, ending.signal)]).catch(() => undefined);
      },
      directories: keptDirectories,
      turns: createTurns(1),
      generationOf: (inode) => generations.of(inode),
    }),
    log,
  });

  const ending = new AbortController();
  const end = (): void => ending.abort(signal.reason);
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  // It only fails where everything ends.
  const introduce = (): void => void greeting.greet(ending.signal).catch(() => undefined);
  // Made while the link is opened; what was left of an agent that was killed over it goes first.
  const examined = firstLook(doctor, log);
  const watching = watch.run(ending.signal);
  const working: Promise<void>[] = [watching];
  try {
    link = await openLink(
      {
        url: settings.natsUrl,
        hostId,
        credentialsFile: settings.credentialsFile,
        allowOldNats: settings.allowOldNats,
        log,
        onDo({ placements: desired, tell, hello }) {
          if (hello) introduce();
          accept(desired);
          if (tell) placements.tellAll();
        },
        onAsk: (message) => questions.ask(message),
        onReconnect() {
          introduce();
          outbox.wake();
          reporter.wake();
        },
      },
      ending.signal,
    );
    log.info({ hostId, epoch, bootId, privileged: facts.privileged }, 'connected');
    await Promise.race([sourceKnown.promise, watching]);
    const { features, missing } = await examined;
    hello = { ...hello, facts: { ...hello.facts, features, missing } };
    greeted = true;
    await greeting.greet(ending.signal);
    working.push(heartbeat.run(ending.signal), outbox.run(ending.signal), reporter.run(ending.signal));
    await Promise.race([new Promise((resolve) => ending.signal.addEventListener('abort', resolve, { once: true })), ...working]);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', end);
    ending.abort();
    await questions.close();
    await Promise.allSettled(working);
    await Promise.all([placements.close(), ready.close()]);
    cgroups.close();
    files.close();
    await link?.close();
  }
}
