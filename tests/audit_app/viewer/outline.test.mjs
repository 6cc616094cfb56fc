import assert from 'node:assert/strict';
import test from 'node:test';
import { outlinePath } from '../../../audit_app/viewer/outline.js';

test('each ring of a polygon is a closed path through its points', () => {
  const rings = [[[1.25, 2], [9, 2.5], [9, 8]], [[3, 10], [6, 10], [6, 14]]];
  assert.equal(outlinePath({ kind: 'polygon', rings }), 'M1.25 2L9 2.5L9 8ZM3 10L6 10L6 14Z');
});

test('the curves of a tilted ellipse stay on it', () => {
  const [c, s] = [Math.cos(0.7), Math.sin(0.7)];
  const at = (along, across) => [40 + along * c - across * s, 30 + along * s + across * c];
  const path = outlinePath({ kind: 'ellipse', rings: [[at(-20, 0), at(20, 0), at(0, -8), at(0, 8)]] });
  const numbers = path.match(/-?\d+(\.\d+)?(e-?\d+)?/g).map(Number);
  assert.equal(numbers.length, 2 + 4 * 6);
  assert.match(path, /^M[^MZ]*Z$/);
  let from = numbers.slice(0, 2);
  for (let curve = 0; curve < 4; curve += 1) {
    const [x1, y1, x2, y2, x3, y3] = numbers.slice(2 + 6 * curve, 8 + 6 * curve);
    for (let t = 0; t <= 1; t += 0.05) {
      const mix = (a, b, d, e) => (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t ** 2 * d + t ** 3 * e;
      const [dx, dy] = [mix(from[0], x1, x2, x3) - 40, mix(from[1], y1, y2, y3) - 30];
      const radius = Math.hypot((dx * c + dy * s) / 20, (dy * c - dx * s) / 8);
      assert.ok(Math.abs(radius - 1) < 5e-4, `${radius} at ${t} of curve ${curve}`);
    }
    from = [x3, y3];
  }
  assert.ok(Math.hypot(from[0] - numbers[0], from[1] - numbers[1]) < 1e-9);
});
