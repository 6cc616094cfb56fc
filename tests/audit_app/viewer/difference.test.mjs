import assert from 'node:assert/strict';
import test from 'node:test';
import { commonBox, differenceColour, differenceColours, differenceMap, valueAt } from '../../../audit_app/viewer/difference.js';

const PICTURE = { width: 100, height: 80 };
const flat = (value, box, width = 4, height = 4) => ({ values: new Uint8Array(width * height).fill(value), width, height, box, threshold: 0.5 });

test('a value is the cell\'s own at its centre, half way between two at their border, and held beyond the last', () => {
  const map = { values: Uint8Array.from([0, 255, 51, 102]), width: 2, height: 2, box: [10, 20, 30, 40], threshold: 0.5 };
  assert.equal(valueAt(map, 15, 25), 0);
  assert.equal(valueAt(map, 25, 25), 1);
  assert.equal(valueAt(map, 20, 25), 0.5);
  assert.ok(Math.abs(valueAt(map, 20, 30) - (0 + 1 + 0.2 + 0.4) / 4) < 1e-12);
  assert.equal(valueAt(map, 10, 20), 0);
});

test('what both models saw is the intersection inside the picture, or nothing', () => {
  assert.deepEqual(commonBox({ box: [-5, 0, 60, 80] }, { box: [20, -9, 120, 70] }, PICTURE), [20, 0, 60, 70]);
  assert.equal(commonBox({ box: [0, 0, 40, 80] }, { box: [40, 0, 100, 80] }, PICTURE), null);
});

test('a map differs from itself by nothing and overlaps itself wholly', () => {
  const values = Uint8Array.from({ length: 16 }, (_, at) => 17 * at);
  const map = { values, width: 4, height: 4, box: [0, 0, 100, 80], threshold: 0.5 };
  const { mean, overlap, values: difference } = differenceMap(map, map, PICTURE);
  assert.equal(mean, 0);
  assert.equal(overlap, 1);
  assert.ok(difference.every((value) => value === 0));
});

test('the second minus the first, on the finer of the two grids and over the common part only', () => {
  const first = flat(51, [0, 0, 100, 80], 10, 8);
  const second = flat(204, [20, 0, 100, 80], 40, 40);
  const { values, width, height, box, mean, overlap } = differenceMap(first, second, PICTURE);
  assert.deepEqual(box, [20, 0, 100, 80]);
  assert.deepEqual([width, height], [40, 40]);
  assert.ok(values.every((value) => Math.abs(value - 0.6) < 1e-6));
  assert.ok(Math.abs(mean - 0.6) < 1e-6);
  assert.equal(overlap, 0); // only the second exceeds its threshold
});

test('mean and overlap are those of a count by hand', () => {
  // Same grid and box: cells are compared one by one.
  const box = [0, 0, 40, 10];
  const first = { values: Uint8Array.from([255, 255, 0, 0]), width: 4, height: 1, box, threshold: 0.5 };
  const second = { values: Uint8Array.from([0, 255, 255, 0]), width: 4, height: 1, box, threshold: 0.5 };
  const { mean, overlap } = differenceMap(first, second, { width: 40, height: 10 });
  assert.equal(mean, 0.5);
  assert.equal(overlap, 1 / 3);
});

test('maps that never exceed their thresholds have no overlap to speak of', () => {
  const box = [0, 0, 100, 80];
  assert.equal(differenceMap(flat(10, box), flat(20, box), PICTURE).overlap, null);
  assert.equal(differenceMap(flat(0, [0, 0, 40, 80]), flat(0, [50, 0, 90, 80]), PICTURE), null);
});

test('the colours tell the sign, and agreement is clear', () => {
  const [blueish, orange] = [differenceColour(-1), differenceColour(1)];
  assert.ok(blueish[2] > blueish[0] && orange[0] > orange[2]);
  assert.equal(blueish[3], 255);
  assert.deepEqual([...differenceColours([0])].slice(3), [0]);
});
