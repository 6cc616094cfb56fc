import assert from 'node:assert/strict';
import test from 'node:test';
import { coloured } from '../../../audit_app/viewer/earlier.js';
import { boxBetween, isLargeEnough, resizeBox } from '../../../audit_app/viewer/geometry.js';

const PICTURE = { width: 100, height: 80 };
const STRICT = { ...PICTURE, smallest_box_px: 20 };

test('the smallest box is 2 pixels unless the protocol asks for more', () => {
  assert.deepEqual(boxBetween({ x: 5, y: 5 }, { x: 7, y: 7 }, PICTURE), [5, 5, 7, 7]);
  assert.equal(boxBetween({ x: 5, y: 5 }, { x: 6, y: 30 }, PICTURE), null);
  assert.equal(boxBetween({ x: 5, y: 5 }, { x: 24, y: 40 }, STRICT), null);
  assert.deepEqual(boxBetween({ x: 5, y: 5 }, { x: 25, y: 25 }, STRICT), [5, 5, 25, 25]);
  assert.equal(isLargeEnough([0, 0, 2, 2]), true);
});

test('a box cannot be made smaller than the protocol allows by a handle either', () => {
  assert.equal(resizeBox([10, 10, 40, 40], 'se', -15, -15, STRICT), null);
  assert.deepEqual(resizeBox([10, 10, 40, 40], 'se', -10, -10, STRICT), [10, 10, 30, 30]);
});

test('earlier readings get a colour each, and the colours begin again after the last', () => {
  const readings = coloured(Array.from({ length: 6 }, (_, at) => ({ reader: `r${at}` })));
  assert.equal(new Set(readings.slice(0, 5).map(({ colour }) => colour)).size, 5);
  assert.equal(readings[5].colour, readings[0].colour);
  assert.equal(readings[2].reader, 'r2');
});
