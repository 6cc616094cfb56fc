import assert from 'node:assert/strict';
import test from 'node:test';
import { buildSeal } from '../../../audit_app/viewer/note_seal.js';
import { Outbox } from '../../../audit_app/viewer/outbox.js';

// A small but real server: applies (client_id, sequence) once, refuses outdated versions.
class Server {
  constructor() {
    Object.assign(this, { version: 0, applied: [], isDown: false, dropsAnswers: 0, waiting: [], isHeld: false });
  }

  async send(edit) {
    if (this.isHeld) await new Promise((resolve) => this.waiting.push(resolve));
    if (this.isDown) throw new TypeError('Failed to fetch');
    if (this.answerWith) return this.answerWith;
    const key = `${edit.client_id}:${edit.sequence}`;
    if (!this.applied.includes(key)) {
      if (edit.base_version !== this.version) return { status: 409, body: { ok: false, reason: 'stale', reading: this.reading() } };
      if (edit.region?.finding === 'nonsense') return { status: 422, body: { ok: false, message: 'unknown finding' } };
      this.version += 1;
      this.applied.push(key);
    }
    if (this.dropsAnswers > 0) {
      this.dropsAnswers -= 1;
      throw new TypeError('connection lost after the write');
    }
    return { status: 200, body: { ok: true, reading: this.reading() } };
  }

  reading() {
    return { image_id: 'image', version: this.version };
  }
}

class Storage {
  constructor() { this.items = new Map(); }
  get length() { return this.items.size; }
  key(index) { return [...this.items.keys()][index]; }
  getItem(key) { return this.items.get(key) ?? null; }
  setItem(key, value) {
    if (this.isFull) throw new Error('QuotaExceededError');
    this.items.set(key, value);
  }
  removeItem(key) { this.items.delete(key); }
}

// Timers that fire when the test says so.
class Timers {
  constructor() { this.pending = new Map(); this.next = 1; }
  setTimeout(callback) { this.pending.set(this.next, callback); return this.next++; }
  clearTimeout(id) { this.pending.delete(id); }
  fire() { const all = [...this.pending.values()]; this.pending.clear(); all.forEach((callback) => callback()); }
}

const put = (id, finding = 'Fracture') => ({ kind: 'put', region: { region_id: id, finding, certainty: 'definite', box: [1, 2, 3, 4], note: '' } });
// Encryption takes threads of its own.
const until = async (condition) => { for (let i = 0; i < 400 && !condition(); i += 1) await settled(); };
const settled = () => new Promise((resolve) => { setTimeout(resolve, 5); });

function setUp({ server = new Server(), storage = new Storage(), notes = new Storage(), clientId = 'client-a', seal = null } = {}) {
  const seen = { states: [], reasons: [], acknowledged: [], refused: [], rejected: [] };
  const timers = new Timers();
  const outbox = new Outbox({
    prefix: 'p/', clientId, storage, noteStorage: notes, seal, timers, send: (edit) => server.send(edit),
    listener: {
      state: (name, pending, reason) => { seen.states.push([name, pending]); seen.reasons.push(reason); },
      acknowledged: (edit, reading) => seen.acknowledged.push([edit.sequence, reading.version]),
      refusing: (edit) => seen.refusing?.(edit),
      refused: (edits, body) => seen.refused.push([edits.map((edit) => edit.sequence), body]),
      rejected: (edit, body) => seen.rejected.push([edit.sequence, body.message]),
    },
  });
  outbox.start();
  return { outbox, server, storage, notes, timers, seen };
}

test('edits are sent one at a time, in order, and forgotten once acknowledged', async () => {
  const { outbox, server, storage, seen } = setUp();
  let inFlight = 0;
  let most = 0;
  const send = outbox.send;
  outbox.send = async (edit) => { inFlight += 1; most = Math.max(most, inFlight); const answer = await send(edit); inFlight -= 1; return answer; };
  for (let i = 0; i < 200; i += 1) outbox.add('image', i, put(`box-${i % 7}`));
  await settled();
  assert.equal(most, 1);
  assert.equal(server.version, 200);
  assert.deepEqual(seen.acknowledged.map(([sequence]) => sequence), Array.from({ length: 200 }, (_, i) => i + 1));
  assert.equal(storage.length, 0);
  assert.equal(seen.states.at(-1)[0], 'saved');
});

test('a server that is gone makes the state "retrying", and later everything is sent exactly once', async () => {
  const { outbox, server, storage, timers, seen } = setUp();
  server.isDown = true;
  outbox.add('image', 0, put('a'));
  outbox.add('image', 1, put('b'));
  await settled();
  assert.deepEqual(seen.states.at(-1), ['retrying', 2]);
  assert.equal(JSON.parse(storage.getItem('p/client-a')).length, 2);
  server.isDown = false;
  timers.fire();
  await settled();
  assert.deepEqual(server.applied, ['client-a:1', 'client-a:2']);
  assert.equal(outbox.state(), 'saved');
});

test('what the server cannot keep now is kept here, with its reason, and sent again', async () => {
  const { outbox, server, timers, seen } = setUp();
  server.answerWith = { status: 503, body: { ok: false, message: 'the disk is full' } };
  outbox.add('image', 0, put('a'));
  await settled();
  assert.deepEqual([seen.states.at(-1), seen.reasons.at(-1)], [['retrying', 1], 'the disk is full']);
  assert.deepEqual(seen.rejected, []);
  server.answerWith = null;
  timers.fire();
  await settled();
  assert.deepEqual([seen.states.at(-1), seen.reasons.at(-1)], [['saved', 0], '']);
  assert.deepEqual(server.applied, ['client-a:1']);
});

test('an edit whose acknowledgement was lost is not applied twice', async () => {
  const { outbox, server, timers } = setUp();
  server.dropsAnswers = 1;
  outbox.add('image', 0, put('a'));
  await settled();
  assert.equal(server.version, 1);
  timers.fire();
  await settled();
  assert.equal(server.version, 1);
  assert.equal(outbox.state(), 'saved');
});

test('only an explicit ok counts: an empty answer is retried', async () => {
  const { outbox, server, timers, seen } = setUp();
  server.answerWith = { status: 200, body: null };
  outbox.add('image', 0, put('a'));
  await settled();
  assert.deepEqual(seen.states.at(-1), ['retrying', 1]);
  server.answerWith = null;
  timers.fire();
  await settled();
  assert.equal(server.version, 1);
});

test('a signed-out reader is told so and loses nothing', async () => {
  const { outbox, server, seen } = setUp();
  server.answerWith = { status: 401, body: { ok: false } };
  outbox.add('image', 0, put('a'));
  await settled();
  assert.deepEqual(seen.states.at(-1), ['signed_out', 1]);
});

test('what a closed page left is sent by the next page under the old client id', async () => {
  const first = setUp();
  first.server.isDown = true;
  first.outbox.add('image', 0, put('a'));
  first.outbox.add('image', 1, { kind: 'delete', region_id: 'a' });
  await settled();
  first.server.isDown = false;
  const second = setUp({ server: first.server, storage: first.storage, clientId: 'client-b' });
  await settled();
  assert.deepEqual(second.server.applied, ['client-a:1', 'client-a:2']);
  assert.equal(second.storage.length, 0);
});

test('a page that takes over another page\'s list does not erase what that page adds meanwhile', async () => {
  const first = setUp();
  first.server.isDown = true;
  first.outbox.add('image', 0, put('a'));
  await settled();
  first.server.isDown = false;
  first.server.isHeld = true;
  const second = setUp({ server: first.server, storage: first.storage, clientId: 'client-b' });
  first.outbox.isSending = true; // the first page hangs, but its reader goes on drawing
  first.outbox.add('image', 1, put('b'));
  first.server.isHeld = false;
  first.server.waiting.forEach((go) => go());
  await settled();
  assert.deepEqual(JSON.parse(second.storage.getItem('p/client-a')).map((edit) => edit.sequence), [2]);
});

test('an outdated edit and those after it are held, and survive a reload as held', async () => {
  const { outbox, server, storage, seen } = setUp();
  server.version = 5;
  outbox.add('image', 4, put('a'));
  outbox.add('image', 5, put('b'));
  await settled();
  assert.deepEqual(seen.refused[0][0], [1, 2]);
  assert.equal(seen.refused[0][1].reading.version, 5);
  assert.equal(server.applied.length, 0);
  const later = setUp({ server, storage, clientId: 'client-b' });
  await settled();
  assert.equal(server.applied.length, 0);
  const held = later.outbox.takeHeld('image');
  assert.deepEqual(held.map((edit) => edit.region.region_id), ['a', 'b']);
  assert.equal(storage.length, 0);
});

test('what is being typed when an edit is refused waits with it and is not sent on its own', async () => {
  const { outbox, server, seen } = setUp();
  server.version = 1; // which would fit the next edit by chance
  seen.refusing = () => outbox.add('image', 1, put('a', 'Fracture'));
  outbox.add('image', 0, put('a'));
  await settled();
  assert.deepEqual(seen.refused.map(([sequences]) => sequences), [[1, 2]]);
  assert.deepEqual(server.applied, []);
  assert.equal(outbox.heldOf('image').length, 2);
});

test('edits of other images go on while one image is held', async () => {
  const { outbox, server } = setUp();
  server.version = 3;
  outbox.add('image', 0, put('a'));
  outbox.add('other', 3, put('b'));
  await settled();
  assert.deepEqual(server.applied, ['client-a:2']);
});

test('a change that can never be saved is dropped, and the next ones still fit', async () => {
  const { outbox, server, seen } = setUp();
  outbox.add('image', 0, put('a'));
  outbox.add('image', 1, put('b', 'nonsense'));
  outbox.add('image', 2, put('c'));
  await settled();
  assert.deepEqual(seen.rejected, [[2, 'unknown finding']]);
  assert.deepEqual(server.applied, ['client-a:1', 'client-a:3']);
  assert.equal(server.version, 2);
});

test('flushed waits for the image that is asked for', async () => {
  const { outbox, server } = setUp();
  server.isHeld = true;
  outbox.add('image', 0, put('a'));
  let isDone = false;
  const flushed = outbox.flushed('image').then(() => { isDone = true; });
  await settled();
  assert.equal(isDone, false);
  server.isHeld = false;
  server.waiting.forEach((go) => go());
  await flushed;
  await outbox.flushed('never touched');
});

test('the text of a note is not kept in the lasting storage', async () => {
  const first = setUp();
  first.server.isDown = true;
  first.outbox.add('image', 0, { kind: 'put', region: { ...put('a').region, note: 'Mrs Smith, born 1950' } });
  await settled();
  assert.ok(![...first.storage.items.values()].join().includes('Smith'));
  const sameTab = setUp({ storage: first.storage, notes: first.notes, server: first.server });
  assert.equal(sameTab.outbox.queue[0].region.note, 'Mrs Smith, born 1950');
  const otherTab = setUp({ storage: first.storage, server: first.server });
  assert.equal(otherTab.outbox.queue[0].region.note, null);
});

test('a note that waits is sealed in the lasting storage, and another tab of its reader sends it', async () => {
  const seal = buildSeal('00112233445566778899aabbccddeeff');
  const note = { kind: 'put', region: { ...put('a').region, note: 'Mrs Smith, née Öz, born 1950' } };
  const first = setUp({ seal });
  first.server.isDown = true;
  first.outbox.add('image', 0, put('a'));
  assert.equal(first.outbox.isAtRisk(), false); // the box is kept already
  first.outbox.add('image', 1, note);
  assert.equal(first.outbox.isAtRisk(), true);
  await until(() => !first.outbox.isAtRisk());
  assert.equal(first.outbox.isAtRisk(), false);
  assert.ok(![...first.storage.items.values()].join().includes('Smith'));

  const stranger = setUp({ storage: first.storage, server: first.server, seal: buildSeal('ff112233445566778899aabbccddeeff') });
  await until(() => stranger.outbox.isStarted);
  assert.equal(stranger.outbox.queue[1].region.note, null);

  first.server.isDown = false;
  const sent = [];
  const send = first.server.send.bind(first.server);
  first.server.send = (edit) => { sent.push(edit); return send(edit); };
  const later = setUp({ storage: first.storage, server: first.server, seal, clientId: 'client-b' });
  await until(() => later.storage.length === 0);
  assert.deepEqual(sent.map((edit) => edit.region.note), ['', 'Mrs Smith, née Öz, born 1950']);
  assert.ok(!('sealed' in sent[1]) && !('held' in sent[1]));
  assert.equal(later.storage.length, 0);
});

test('without a seal a note is at risk until it is saved, and so is all where nothing can be stored', async () => {
  const { outbox, server, timers } = setUp();
  server.isDown = true;
  outbox.add('image', 0, { kind: 'put', region: { ...put('a').region, note: 'words' } });
  await settled();
  assert.equal(outbox.isAtRisk(), true);
  server.isDown = false;
  timers.fire();
  await settled();
  assert.equal(outbox.isAtRisk(), false);
  const full = setUp();
  full.server.isDown = true;
  full.storage.isFull = true;
  full.outbox.add('image', 0, put('a'));
  assert.equal(full.outbox.isAtRisk(), true);
});

test('a browser that stores nothing still saves, and the page can say so', async () => {
  const storage = new Storage();
  storage.isFull = true;
  const { outbox, server } = setUp({ storage });
  outbox.add('image', 0, put('a'));
  assert.equal(outbox.isStorageBroken, true);
  await settled();
  assert.equal(server.version, 1);
});

test('damaged stored edits are ignored', async () => {
  const storage = new Storage();
  storage.setItem('p/client-x', '{not json');
  storage.setItem('p/client-y', '"text"');
  const { outbox } = setUp({ storage });
  assert.equal(outbox.state(), 'saved');
});
