import assert from 'node:assert/strict';
import test from 'node:test';
import { cellPlaces, distinct, exportFrame, fileName, wholeFrame, wrapped } from '../../../audit_app/viewer/sheet_layout.js';

const measure = (text) => 10 * text.length;

test('lines break between words, keep every word and never exceed the width', () => {
  const text = 'Layer visual.trunk.blocks[-1].norm1, grid 14 x 14; preprocessing crop to 224 x 224.';
  const lines = wrapped(text, 300, measure);
  assert.ok(lines.length > 2);
  assert.ok(lines.every((line) => measure(line) <= 300));
  assert.equal(lines.join(' ').replace(/\s+/g, ''), text.replace(/\s+/g, ''));
});

test('a word that is wider than the line is cut, not lost', () => {
  assert.deepEqual(wrapped('aaaaaaa bb', 30, measure), ['aaa', 'aaa', 'a', 'bb']);
  assert.deepEqual(wrapped('   ', 30, measure), []);
});

test('a file shows what the pane shows, without the black beside the picture', () => {
  const picture = { width: 200, height: 100 };
  // Fitted: the whole picture in a taller pane.
  const fitted = exportFrame({ scale: 2, x: 0, y: 100 }, { width: 400, height: 400 }, picture, 1000);
  assert.deepEqual([fitted.width, fitted.height, fitted.view.scale], [1000, 500, 5]);
  assert.deepEqual([Math.abs(fitted.view.x), Math.abs(fitted.view.y)], [0, 0]);
  // Zoomed in on x 50..150, y 25..75.
  const zoomed = exportFrame({ scale: 4, x: -200, y: -100 }, { width: 400, height: 200 }, picture, 1000);
  assert.deepEqual([zoomed.width, zoomed.height], [1000, 500]);
  assert.deepEqual(zoomed.view, { scale: 10, x: -500, y: -250 });
});

test('the whole picture keeps its proportions', () => {
  assert.deepEqual(wholeFrame({ width: 2048, height: 2496 }, 624), { width: 512, height: 624, view: { scale: 0.25, x: 0, y: 0 } });
});

test('cells go row after row', () => {
  assert.deepEqual(cellPlaces(3, 2, { width: 100, height: 50 }, 10), [{ x: 0, y: 0 }, { x: 110, y: 0 }, { x: 0, y: 60 }]);
});

test('a file name holds letters, digits and dashes only', () => {
  assert.equal(fileName('saliency', '3f2a', 'Pleural Effusion / <b>', 'pair'), 'saliency_3f2a_pleural-effusion-b_pair.png');
  assert.equal(fileName('../../etc', null, 'x'), 'etc_x.png');
});

test('a line that several maps share stands once', () => {
  assert.deepEqual(distinct(['a', 'b', 'a']), ['a', 'b']);
});
