import assert from 'node:assert/strict';
import test from 'node:test';
import { bare, decided, withDecisions } from '../../../audit_app/viewer/adjudicating.js';

const heart = { region_id: 'a1', finding: 'Cardiomegaly', certainty: 'definite', box: [1, 2, 30, 40], note: 'large', shape: null };
const STATE = {
  image_id: 'image', version: 7, is_open: true, undecided: 2, regions: [],
  parents: [
    { parent_id: 'anna', regions: [{ ...heart, result_id: 'ra', decision: null, overlap: 0.5 }] },
    { parent_id: 'bert', regions: [{ ...heart, region_id: 'b1', result_id: 'rb', decision: null, overlap: 0.5 }] },
  ],
};
const decide = (decision, more = {}) => ({ parent_id: 'anna', region_id: 'a1', decision, ...more });
const summary = (state) => [state.nextBase, state.undecided, state.parents[0].regions[0].decision, state.regions.map(({ region_id: id }) => id)];

test('decisions that wait stand on top of what the server said, each one version later', () => {
  const shown = withDecisions(STATE, [decide('accept'), { ...decide('reject'), parent_id: 'bert', region_id: 'b1' }]);
  assert.deepEqual(summary(shown), [9, 0, 'accept', ['ra']]);
  assert.deepEqual(bare(shown.regions[0]), { ...heart, region_id: 'ra' });
  assert.equal(shown.version, 7);
  assert.deepEqual(summary({ ...STATE, nextBase: 7 }), [7, 2, null, []]); // which stays as it was
});

test('another decision takes the place of the one before, and none takes it back', () => {
  const accepted = withDecisions(STATE, [decide('accept')]);
  assert.deepEqual(summary(decided(accepted, decide('reject'))), [9, 1, 'reject', []]);
  assert.deepEqual(summary(decided(accepted, decide(null))), [9, 2, null, []]);
});

test('an edit that changes nothing is an acceptance, as the server says too', () => {
  const same = withDecisions(STATE, [decide('edit', { region: heart })]);
  assert.deepEqual(summary(same), [8, 1, 'accept', ['ra']]);
  const moved = decided(same, decide('edit', { region: { ...heart, box: [2, 2, 30, 40], note: null } }));
  assert.deepEqual(summary(moved), [9, 1, 'edit', ['ra']]);
  assert.deepEqual([moved.regions[0].box, moved.regions[0].note], [[2, 2, 30, 40], 'large']);
});
