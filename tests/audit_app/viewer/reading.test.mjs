import assert from 'node:assert/strict';
import test from 'node:test';
import { History, ReadingModel } from '../../../audit_app/viewer/reading.js';

const region = (id, changes = {}) => ({ region_id: id, finding: 'Fracture', certainty: 'definite', box: [1, 2, 3, 4], note: '', ...changes });
const reading = (changes = {}) => ({ image_id: 'i', version: 3, status: 'draft', is_open: true, no_finding: false, regions: [region('a')], commits: 0, ...changes });
const ids = (model) => model.regions.map((one) => one.region_id);

test('the inverse of each kind of edit restores the reading', () => {
  for (const change of [
    { kind: 'put', region: region('b') },
    { kind: 'put', region: region('a', { box: [5, 5, 9, 9] }) },
    { kind: 'delete', region_id: 'a' },
  ]) {
    const model = new ReadingModel(reading());
    const inverse = model.apply(change);
    assert.notDeepEqual(model.regions, reading().regions);
    model.apply(inverse);
    assert.deepEqual(model.regions, reading().regions);
  }
  const empty = new ReadingModel(reading({ regions: [] }));
  empty.apply(empty.apply({ kind: 'no_finding', no_finding: true }));
  assert.equal(empty.no_finding, false);
});

test('each unanswered edit counts the next base version one up', () => {
  const model = new ReadingModel(reading());
  assert.equal(model.nextBase, 3);
  model.apply({ kind: 'put', region: region('b') });
  model.apply({ kind: 'put', region: region('c') });
  assert.equal(model.nextBase, 5);
});

test('an answer replaces the state, with later edits put on top again', () => {
  const model = new ReadingModel(reading());
  const later = { kind: 'put', region: region('c') };
  model.apply({ kind: 'put', region: region('b') });
  model.apply(later);
  model.adopt(reading({ version: 4, regions: [region('a'), region('b')] }), [later]);
  assert.deepEqual(ids(model), ['a', 'b', 'c']);
  assert.equal(model.nextBase, 5);
});

test('a note that did not survive a reload does not erase the one that is there', () => {
  const model = new ReadingModel(reading({ regions: [region('a', { note: 'kept' })] }));
  model.apply({ kind: 'put', region: region('a', { box: [0, 0, 9, 9], note: null }) });
  assert.equal(model.region('a').note, 'kept');
});

test('No Finding and boxes refuse each other and say why', () => {
  const withBox = new ReadingModel(reading());
  assert.match(withBox.refusal({ kind: 'no_finding', no_finding: true }), /exclude each other/);
  const none = new ReadingModel(reading({ regions: [], no_finding: true }));
  assert.match(none.refusal({ kind: 'put', region: region('b') }), /excludes boxes/);
  assert.equal(none.refusal({ kind: 'no_finding', no_finding: false }), null);
});

test('a committed reading refuses every edit', () => {
  const model = new ReadingModel(reading({ is_open: false, status: 'committed' }));
  assert.match(model.refusal({ kind: 'delete', region_id: 'a' }), /committed/);
});

test('edits that are made again are judged one after the other, and nothing is changed by that', () => {
  const model = new ReadingModel(reading({ no_finding: true, regions: [] }));
  const box = { kind: 'put', region: region('a') };
  assert.match(model.refusalOf([box]), /excludes boxes/);
  assert.equal(model.refusalOf([{ kind: 'no_finding', no_finding: false }, box]), null);
  assert.deepEqual([model.no_finding, model.regions, model.nextBase], [true, [], model.version]);
});

test('undo and redo walk back and forth, and a new edit ends the redo', () => {
  const history = new History();
  history.record('do 1', 'undo 1');
  history.record('do 2', 'undo 2');
  assert.equal(history.undo(), 'undo 2');
  assert.equal(history.undo(), 'undo 1');
  assert.equal(history.undo(), null);
  assert.equal(history.redo(), 'do 1');
  history.record('do 3', 'undo 3');
  assert.equal(history.redo(), null);
  assert.equal(history.undo(), 'undo 3');
  assert.equal(history.undo(), 'undo 1');
});

test('a held arrow key is one step of the history', () => {
  const history = new History();
  for (let i = 0; i < 30; i += 1) history.record(`do ${i}`, `undo ${i}`, { tag: 'nudge a', now: 1000 + 50 * i });
  history.record('do later', 'undo later', { tag: 'nudge a', now: 9000 });
  assert.equal(history.undo(), 'undo later');
  assert.equal(history.undo(), 'undo 0');
  assert.equal(history.redo(), 'do 29');
});
