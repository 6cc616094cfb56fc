import assert from 'node:assert/strict';
import test from 'node:test';
import { cardPlace, caseOf, placesOf } from '../../../audit_app/viewer/explorer_card.js';

const CARD = { width: 200, height: 300 };
const VIEW = { width: 1000, height: 700 };

test('a card stands beside the pointer', () => {
  assert.deepEqual(cardPlace({ x: 100, y: 50 }, CARD, VIEW), { x: 116, y: 66 });
});

test('at the right edge it stands on the left of the pointer, at the lower one above it', () => {
  assert.deepEqual(cardPlace({ x: 900, y: 650 }, CARD, VIEW), { x: 684, y: 396 });
});

test('in a window that is too small it keeps its upper left corner', () => {
  assert.deepEqual(cardPlace({ x: 90, y: 90 }, CARD, { width: 150, height: 200 }), { x: 4, y: 4 });
});

test('a picture is found in every map that shows it', () => {
  const data = [
    { x: [1, 2], y: [3, 4], customdata: [['a'], ['b']] },
    { x: [5], y: [6], customdata: [['b']], xaxis: 'x2', yaxis: 'y2' },
    { x: [7], y: [8] },
  ];
  assert.deepEqual(placesOf(data, 'b'), [
    { x: 2, y: 4, xaxis: 'xaxis', yaxis: 'yaxis' },
    { x: 5, y: 6, xaxis: 'xaxis2', yaxis: 'yaxis2' },
  ]);
  assert.deepEqual(placesOf(data, 'c'), []);
});

test('a point without a picture opens none', () => {
  assert.equal(caseOf({ customdata: ['a', 'Edema', 'none'] }), 'a');
  assert.equal(caseOf({}), null);
  assert.equal(caseOf(undefined), null);
});
