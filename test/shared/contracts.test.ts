/** The contracts hold what their headers promise: limits, versions, one transition table, digests, frames, paths. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { api, routePath } from '#shared/api.ts';
import { NsfleetError, asNsfleetError, errorCatalogue, fromWire } from '#shared/errors.ts';
import { decodeFrame, encodeFrame, frameKinds, framePayloadMaxBytes, slices } from '#shared/frames.ts';
import type { FrameKind } from '#shared/frames.ts';
import { HostId } from '#shared/host.ts';
import { decodeMessage, encodeMessage, messages, subjects } from '#shared/messages.ts';
import type { MessageName } from '#shared/messages.ts';
import { NamespaceKey, namespaceKey } from '#shared/namespace.ts';
import { placementDigest } from '#shared/placement.ts';
import { SandboxRequest, SandboxSpec, isEnded, mayBecome, sandboxStates } from '#shared/sandbox.ts';
import { parseSignalName, signalName, signalNumber } from '#shared/signal.ts';

const code = (expected: string) => (error: unknown) => error instanceof NsfleetError && error.code === expected;
const utf8 = (text: string) => new TextEncoder().encode(text);

describe('messages', () => {
  const beat = {
    v: 1 as const,
    hostId: 'h1',
    bootId: '1b4e28ba-2fa1-41d2-883f-0016d3cca427',
    epoch: 1,
    seq: 0,
    digest: 'a'.repeat(32),
    placements: 0,
    load1: 0.5,
  };

  it('comes back as it was sent', () => {
    assert.deepEqual(decodeMessage('beat', encodeMessage('beat', beat)), beat);
  });

  it('refuses an oversized message before it looks inside', () => {
    const bytes = new Uint8Array(messages.beat.maxBytes + 1);
    assert.throws(() => decodeMessage('beat', bytes), code('MESSAGE_TOO_LARGE'));
  });

  it('refuses an unknown version, and says which it speaks', () => {
    for (const v of [2, 0, '1', null]) {
      assert.throws(() => decodeMessage('beat', utf8(JSON.stringify({ ...beat, v }))), code('MESSAGE_VERSION_UNKNOWN'));
    }
  });

  it('refuses whatever else comes over the wire with a typed error, and pollutes no prototype', () => {
    const names = Object.keys(messages) as MessageName[];
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.json().map(utf8),
          fc.json().map((json) => utf8(`{"v":1,"__proto__":{"polluted":true},"x":${json}}`)),
        ),
        (name, bytes) => {
          try {
            decodeMessage(name, bytes);
          } catch (error) {
            assert.ok(error instanceof NsfleetError, String(error));
          }
          assert.equal(({} as { polluted?: boolean }).polluted, undefined);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('makes no subject from an id that could widen a permission', () => {
    for (const id of ['', 'a.b', '*', '>', 'a b', 'x'.repeat(65), 'a\n', 'ä']) {
      assert.throws(() => subjects.toAgent('do', id), code('INVALID_INPUT'), id);
      assert.equal(HostId.safeParse(id).success, false, id);
    }
    fc.assert(
      fc.property(fc.string(), (id) => {
        if (!HostId.safeParse(id).success) assert.throws(() => subjects.toAgent('ask', id));
        else assert.equal(subjects.toAgent('ask', id).split('.').length, 5);
      }),
    );
  });
});

describe('frames', () => {
  it('come back as they were sent', () => {
    const kinds = Object.keys(frameKinds) as FrameKind[];
    fc.assert(
      fc.property(fc.constantFrom(...kinds), fc.nat(0xffffffff), fc.uint8Array({ maxLength: 300 }), (kind, seq, payload) => {
        const frame = decodeFrame(encodeFrame(kind, seq, payload));
        assert.deepEqual({ ...frame, payload: [...frame.payload] }, { kind, seq, payload: [...payload] });
      }),
    );
  });

  it('refuse short, unknown and oversized ones', () => {
    assert.throws(() => decodeFrame(new Uint8Array(5)), code('MESSAGE_MALFORMED'));
    assert.throws(() => decodeFrame(new Uint8Array([2, 0, 0, 0, 0, 0])), code('MESSAGE_VERSION_UNKNOWN'));
    assert.throws(() => decodeFrame(new Uint8Array([1, 200, 0, 0, 0, 0])), code('MESSAGE_MALFORMED'));
    const big = new Uint8Array(6 + framePayloadMaxBytes + 1);
    big[0] = 1;
    assert.throws(() => decodeFrame(big), code('MESSAGE_TOO_LARGE'));
  });

  it('cut data without losing a byte', () => {
    const data = new Uint8Array(framePayloadMaxBytes * 2 + 7);
    assert.deepEqual(
      [...slices(data)].map((slice) => slice.length),
      [framePayloadMaxBytes, framePayloadMaxBytes, 7],
    );
  });
});

describe('sandbox', () => {
  it('never leaves `removed`, and ends only by name', () => {
    for (const to of sandboxStates) assert.equal(mayBecome('removed', to), false);
    for (const from of sandboxStates) assert.equal(mayBecome(from, from), false);
    for (const from of sandboxStates) if (from !== 'removed') assert.ok(mayBecome(from, 'removed'), from);
    assert.equal(mayBecome('stopped', 'running'), false);
    assert.equal(mayBecome('lost', 'running'), true);
    assert.deepEqual(sandboxStates.filter(isEnded), ['stopped', 'failed', 'lost', 'removed']);
  });

  it('fills in every default', () => {
    const spec = SandboxSpec.parse({ command: ['true'] });
    assert.deepEqual(spec, {
      command: ['true'],
      env: {},
      umask: '022',
      rlimits: {},
      capabilities: { add: [] },
      allowDegraded: false,
      namespaces: {},
      root: { type: 'host' },
      volumes: [],
      seccomp: { profile: 'strict' },
      landlock: { readable: [], writable: [] },
      resources: {},
      logMaxBytes: 1_048_576,
      stopSignal: 'SIGTERM',
      stopGraceMs: 10_000,
    });
  });

  it('refuses malformed specs and names the field', () => {
    const cases: [string, unknown][] = [
      ['command', { command: [] }],
      ['command', { command: [''] }],
      ['command', { command: ['a\0b'] }],
      ['cwd', { command: ['a'], cwd: 'relative' }],
      ['user.uid', { command: ['a'], user: { uid: 4_294_967_296, gid: 0 } }],
      ['user.uid', { command: ['a'], user: { uid: 1.5, gid: 0 } }],
      ['hostname', { command: ['a'], hostname: '-x' }],
      ['root', { command: ['a'], root: { type: 'image' } }],
      ['root.path', { command: ['a'], root: { type: 'directory', path: 'x' } }],
      ['env.A=B', { command: ['a'], env: { 'A=B': '1' } }],
      ['stopSignal', { command: ['a'], stopSignal: 'SIGNOPE' }],
    ];
    for (const [path, spec] of cases) {
      const parsed = SandboxSpec.safeParse(spec);
      assert.equal(parsed.success, false, path);
      assert.ok(
        parsed.error?.issues.some((issue) => issue.path.join('.').startsWith(path)),
        `${path}: ${parsed.error?.message}`,
      );
    }
    assert.equal(SandboxRequest.safeParse({ name: 'UPPER', spec: { command: ['a'] } }).success, false);
    assert.equal(SandboxRequest.safeParse({ nmae: 'typo', spec: { command: ['a'] } }).success, false);
  });
});

describe('words', () => {
  it('namespace keys have one spelling', () => {
    assert.equal(namespaceKey(4026531840, '17', 0), 'id:17');
    assert.equal(namespaceKey(4026531840, null, 3), 'ino:4026531840.3');
    assert.ok(NamespaceKey.safeParse('id:18446744073709551615').success);
    assert.equal(NamespaceKey.safeParse('id:-1').success, false);
  });

  it('signals are read as people type them', () => {
    for (const text of ['SIGTERM', 'term', 'TERM', '15', ' sigterm ']) assert.equal(parseSignalName(text), 'SIGTERM', text);
    for (const text of ['', 'NOPE', '0', '99', '1e1']) assert.equal(parseSignalName(text), null, text);
    assert.equal(signalNumber('SIGKILL'), 9);
    assert.equal(signalName(9), 'SIGKILL');
    assert.equal(signalName(34), 'signal 34');
  });

  it('digests do not depend on order and do on every field', () => {
    const a = { placementId: 'a', generation: 1, state: 'running' as const };
    const b = { placementId: 'b', generation: 2, state: 'stopped' as const };
    const gone = { placementId: 'c', generation: 2, state: 'removed' as const };
    assert.equal(placementDigest([a, b]), placementDigest([b, a, gone]));
    assert.notEqual(placementDigest([a, b]), placementDigest([a, { ...b, generation: 3 }]));
    assert.notEqual(placementDigest([a]), placementDigest([{ ...a, state: 'stopping' }]));
    assert.match(placementDigest([]), /^[0-9a-f]{32}$/);
  });
});

describe('errors', () => {
  it('cross a boundary whole, without their cause', () => {
    const error = new NsfleetError('SANDBOX_NAME_TAKEN', {
      attempted: 'create sandbox',
      target: 'web',
      reason: 'taken',
      cause: new Error('secret'),
    });
    const wire = error.toWire();
    assert.equal(JSON.stringify(wire).includes('secret'), false);
    const back = fromWire(wire);
    assert.deepEqual(back.toWire(), wire);
    assert.equal(back.exitCode, 4);
    assert.equal(fromWire({ ...wire, code: 'OF_THE_FUTURE' }).code, 'INTERNAL');
    assert.equal(asNsfleetError('text', 'do', 'it').reason, 'text');
  });

  it('each has a status, an exit code and advice', () => {
    for (const [name, entry] of Object.entries(errorCatalogue)) {
      assert.match(name, /^[A-Z][A-Z_]+$/);
      assert.ok(entry.http >= 400 && entry.http < 600, name);
      assert.ok(entry.exit > 0, name);
      assert.ok(entry.remedy.length > 10, name);
    }
  });
});

describe('api', () => {
  it('every schema of the table can be published as JSON Schema', () => {
    for (const [name, route] of Object.entries(api)) {
      for (const part of ['params', 'query', 'body', 'reply'] as const) {
        const schema = (route as Partial<Record<typeof part, z.ZodType>>)[part];
        if (schema !== undefined) assert.ok(z.toJSONSchema(schema, { io: part === 'reply' ? 'output' : 'input' }), `${name}.${part}`);
      }
    }
  });

  it('paths encode what is put into them', () => {
    assert.equal(routePath(api.hostShow.path, { host: 'a/b?c' }), '/v1/hosts/a%2Fb%3Fc');
  });
});
