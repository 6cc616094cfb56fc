import assert from 'node:assert/strict';
import test from 'node:test';
import { Asker } from '../../../audit_app/viewer/ask.js';

// A clock that runs only when told to.
class Timers {
  constructor() {
    Object.assign(this, { now: 0, waiting: new Map(), next: 1 });
  }

  setTimeout = (action, ms) => {
    this.waiting.set(this.next, { at: this.now + ms, action });
    return this.next++;
  };

  clearTimeout = (id) => this.waiting.delete(id);

  async pass(ms) {
    const end = this.now + ms;
    for (;;) {
      const due = [...this.waiting].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      this.waiting.delete(due[0]);
      this.now = due[1].at;
      due[1].action();
      await new Promise(setImmediate);
    }
    this.now = end;
  }
}

function setUp(answer = (question) => ({ text: question })) {
  const timers = new Timers();
  const log = { asked: [], answered: [], failed: [], busy: [] };
  const held = [];
  const asker = new Asker({
    ask: (question) => {
      log.asked.push(question);
      return new Promise((resolve, reject) => held.push({ question, resolve: () => resolve(answer(question)), reject }));
    },
    onAnswer: (question) => log.answered.push(question),
    onError: (question, error) => log.failed.push([question, error.message]),
    onBusy: (isBusy) => log.busy.push(isBusy),
    pauseMs: 250, againMs: 300, timers,
  });
  const settle = async () => { held.shift().resolve(); await new Promise(setImmediate); };
  return { asker, timers, log, held, settle };
}

test('nothing is asked before the pause, and only the last of what was typed', async () => {
  const { asker, timers, log } = setUp();
  for (const text of ['f', 'fl', 'flu']) {
    asker.want(text);
    await timers.pass(100);
  }
  assert.deepEqual(log.asked, []);
  await timers.pass(200);
  assert.deepEqual(log.asked, ['flu']);
});

test('one question is under way at a time, and the newest follows it', async () => {
  const { asker, timers, log, settle } = setUp();
  asker.want('one');
  await timers.pass(250);
  asker.want('two');
  await timers.pass(250);
  asker.want('three');
  await timers.pass(250);
  assert.deepEqual(log.asked, ['one']);
  await settle();
  await timers.pass(0);
  assert.deepEqual(log.asked, ['one', 'three']);
  await settle();
  assert.deepEqual(log.answered, ['three']);
});

test('an answer that says "wait" is asked for again', async () => {
  let isReady = false;
  const { asker, timers, log, settle } = setUp(() => ({ is_waiting: !isReady }));
  asker.want('a');
  await timers.pass(250);
  await settle();
  isReady = true;
  await timers.pass(300);
  await settle();
  assert.deepEqual(log.asked, ['a', 'a']);
  assert.deepEqual(log.answered, ['a']);
  assert.equal(log.busy.at(-1), false);
});

test('what is said of a question that nobody wants any more is not shown', async () => {
  const { asker, timers, log, held } = setUp();
  asker.want('old');
  await timers.pass(250);
  asker.stop();
  held.shift().reject(new Error('no'));
  await new Promise(setImmediate);
  assert.deepEqual([log.answered, log.failed], [[], []]);
  asker.want('new');
  await timers.pass(250);
  assert.deepEqual(log.asked, ['old', 'new']);
});

test('a failure is told with its reason, and the next question is asked as usual', async () => {
  const { asker, timers, log, held, settle } = setUp();
  asker.want('bad');
  await timers.pass(250);
  held.shift().reject(new Error('too long'));
  await new Promise(setImmediate);
  assert.deepEqual(log.failed, [['bad', 'too long']]);
  asker.want('good');
  await timers.pass(250);
  await settle();
  assert.deepEqual(log.answered, ['good']);
});
