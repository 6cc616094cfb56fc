import assert from 'node:assert/strict';
import test from 'node:test';
import { blindPath, contourLines, contourPath, heatColours, infernoColour, isWholePicture } from '../../../audit_app/viewer/heat.js';

// Length of the contour inside which a bilinear interpolation of the grid exceeds the level, by brute force.
function interpolated(values, width, height, x, y) {
  const at = (column, row) => values[Math.min(Math.max(row, 0), height - 1) * width + Math.min(Math.max(column, 0), width - 1)];
  const [left, top] = [Math.floor(x - 0.5), Math.floor(y - 0.5)];
  const [u, v] = [x - 0.5 - left, y - 0.5 - top];
  return (at(left, top) * (1 - u) + at(left + 1, top) * u) * (1 - v) + (at(left, top + 1) * (1 - u) + at(left + 1, top + 1) * u) * v;
}

test('every end of the contour lies where the interpolated map has the level', () => {
  const values = [0, 10, 200, 30, 60, 255, 180, 90, 20, 140, 90, 10];
  const lines = contourLines(values, 4, 3, 100);
  assert.ok(lines.length > 4);
  for (const [x1, y1, x2, y2] of lines) {
    for (const [x, y] of [[x1, y1], [x2, y2]]) {
      const isBorder = x === 0 || y === 0 || x === 4 || y === 3;
      if (!isBorder) assert.ok(Math.abs(interpolated(values, 4, 3, x, y) - 100) < 1e-6, `at ${x}, ${y}`);
    }
  }
});

test('a map above the level everywhere is framed by its own border', () => {
  const lines = contourLines([9, 9, 9, 9], 2, 2, 5);
  const length = lines.reduce((sum, [x1, y1, x2, y2]) => sum + Math.hypot(x2 - x1, y2 - y1), 0);
  assert.ok(Math.abs(length - 8) < 1e-9);
});

test('a map below the level everywhere has no contour', () => {
  assert.deepEqual(contourLines([1, 2, 3, 4], 2, 2, 200), []);
});

test('a contour closes: each end is met by another piece', () => {
  const values = Array.from({ length: 49 }, (_, i) => 255 * Math.exp(-(((i % 7) - 3) ** 2 + (Math.floor(i / 7) - 2) ** 2) / 4));
  const ends = new Map();
  for (const [x1, y1, x2, y2] of contourLines(values, 7, 7, 128)) {
    for (const end of [`${x1.toFixed(9)},${y1.toFixed(9)}`, `${x2.toFixed(9)},${y2.toFixed(9)}`]) ends.set(end, (ends.get(end) ?? 0) + 1);
  }
  assert.ok(ends.size > 6);
  assert.ok([...ends.values()].every((count) => count === 2));
});

test('the contour is placed in original pixels by the field of view', () => {
  const path = contourPath({ values: [0, 255], width: 2, height: 1, box: [100, 50, 300, 90] }, 127.5);
  assert.match(path, /M200\.00 (50|90)\.00/);
});

test('colours go from dark and clear to bright and solid', () => {
  const bytes = heatColours([0, 128, 255]);
  assert.equal(bytes[3], 0);
  assert.equal(bytes[11], 255);
  assert.ok(bytes[8] > 240 && bytes[9] > 240);
  assert.deepEqual(infernoColour(0).map((value) => value < 6), [true, true, true]);
});

test('what the model never saw is the picture without its field of view', () => {
  assert.equal(blindPath([10, 0, 90, 80], { width: 100, height: 80 }), 'M0 0H100V80H0ZM10 0H90V80H10Z');
  assert.equal(isWholePicture([0, 0, 100, 80], { width: 100, height: 80 }), true);
  assert.equal(isWholePicture([0, -10, 100, 90], { width: 100, height: 80 }), true);
  assert.equal(isWholePicture([10, 0, 90, 80], { width: 100, height: 80 }), false);
});
