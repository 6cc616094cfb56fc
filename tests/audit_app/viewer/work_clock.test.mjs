import assert from 'node:assert/strict';
import test from 'node:test';
import { WorkClock } from '../../../audit_app/viewer/work_clock.js';

function setUp() {
  const at = { ms: 1000, caseId: null };
  const clock = new WorkClock(() => at.caseId, () => at.ms);
  const pass = (ms) => { at.ms += ms; };
  return { at, clock, pass };
}

class Storage {
  constructor() { this.items = new Map(); }
  getItem(key) { return this.items.get(key) ?? null; }
  setItem(key, value) { this.items.set(key, value); }
  removeItem(key) { this.items.delete(key); }
}

test('work is counted from one sign of life to the next, and taken once', () => {
  const { at, clock, pass } = setUp();
  at.caseId = 'a';
  clock.turn();
  for (let i = 0; i < 40; i += 1) { pass(100); clock.beat(); }
  pass(250.4);
  assert.equal(clock.take('a'), 4250);
  assert.equal(clock.take('a'), 0);
});

test('a pause of more than a minute counts as none', () => {
  const { at, clock, pass } = setUp();
  at.caseId = 'a';
  clock.turn();
  pass(60_000);
  clock.beat();
  pass(60_001);
  clock.beat();
  pass(5_000);
  assert.equal(clock.take('a'), 65_000);
});

test('each case has its own time, and none runs while nothing is worked on', () => {
  const { at, clock, pass } = setUp();
  at.caseId = 'a';
  clock.turn();
  pass(3000);
  at.caseId = 'b';
  clock.turn();
  pass(700);
  at.caseId = null; // committed, or the page is hidden
  clock.turn();
  pass(9000);
  at.caseId = 'b';
  clock.turn();
  pass(300);
  assert.deepEqual([clock.take('a'), clock.take('b')], [3000, 1000]);
});

test('what was not sent goes on after a reload, and a copy of the tab does not count it again', () => {
  const first = setUp();
  const storage = new Storage();
  first.clock.restore(storage, 'time');
  first.at.caseId = 'a';
  first.clock.turn();
  first.pass(2000);
  first.clock.keep();
  const second = setUp();
  second.clock.restore(storage, 'time');
  assert.equal(second.clock.take('a'), 2000);
  const copy = setUp();
  copy.clock.restore(storage, 'time');
  assert.equal(copy.clock.take('a'), 0);
});

test('a storage that is damaged or blocked only loses what it held', () => {
  for (const getItem of [() => '{', () => '7', () => { throw new Error('blocked'); }]) {
    const { at, clock, pass } = setUp();
    clock.restore({ getItem, removeItem: () => {}, setItem: () => { throw new Error('full'); } }, 'time');
    at.caseId = 'a';
    clock.turn();
    pass(50);
    clock.keep();
    assert.equal(clock.take('a'), 50);
  }
});
