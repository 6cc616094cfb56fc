import assert from 'node:assert/strict';
import test from 'node:test';
import { asWindow, colourWords, displayTable, draggedWindow } from '../../../audit_app/viewer/windowing.js';

const window = (center, width, name = 'LINEAR') => ({ kind: 'window', name: '', center, width, function: name });

test('LINEAR follows DICOM PS3.3 C.11.2.1.2.1, by hand: c 128, w 101', () => {
  const table = displayTable(window(128, 101), 8, false);
  // 255 * ((v - 127.5) / 100 + 0.5): 77 -> below 0, 78 -> 1.275, 79 -> 3.825, 127 -> 126.225, 178 -> above 255
  assert.deepEqual([77, 78, 79, 127, 128, 177, 178].map((value) => table[value]), [0, 1, 4, 126, 129, 254, 255]);
});

test('LINEAR_EXACT over the full range of 8 bits changes nothing', () => {
  const table = displayTable(window(127.5, 255, 'LINEAR_EXACT'), 8, false);
  assert.deepEqual([...table], Array.from({ length: 256 }, (_, value) => value));
});

test('SIGMOID is one half at its center', () => {
  const table = displayTable(window(2048, 1000, 'SIGMOID'), 12, false);
  assert.equal(table[2048], 128); // 127.5 rounds to even
  assert.ok(table[0] === 0 && table[4095] === 255);
});

test('a window of no width is a step, without a division by zero', () => {
  const table = displayTable(window(10, 1), 8, false);
  assert.deepEqual([table[9], table[10], table[11]], [0, 255, 255]);
});

test('inversion comes after the window', () => {
  const plain = displayTable(window(100, 50), 8, false);
  const inverted = displayTable(window(100, 50), 8, true);
  assert.ok(plain.every((value, at) => value + inverted[at] === 255));
});

test('a table of the file is used as it is and stays unchanged by inversion', () => {
  const values = Uint8Array.from({ length: 256 }, (_, value) => value >> 1);
  assert.equal(displayTable({ kind: 'table', values }, 8, true)[10], 250);
  assert.equal(values[10], 5);
});

test('words are opaque grey', () => {
  assert.deepEqual([...colourWords(Uint8Array.from([0, 18, 255]))], [0xff000000, 0xff121212, 0xffffffff]);
});

test('a drag to the right widens, a drag down raises the level, and the width never vanishes', () => {
  const dragged = draggedWindow(window(100, 50), 80, -40, 800);
  assert.deepEqual([dragged.center, dragged.width], [60, 130]);
  assert.equal(draggedWindow(window(100, 50), -5000, 0, 800).width, 1);
});

test('a drag that begins on a file\'s table starts from the part in which it rises', () => {
  const values = Uint8Array.from({ length: 256 }, (_, value) => Math.min(255, Math.max(0, (value - 50) * 4)));
  const start = asWindow({ kind: 'table', values }, 8);
  assert.ok(Math.abs(start.center - 82) <= 2 && Math.abs(start.width - 63) <= 2);
});
