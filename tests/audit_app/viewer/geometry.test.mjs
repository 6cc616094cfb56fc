import assert from 'node:assert/strict';
import test from 'node:test';
import * as geometry from '../../../audit_app/viewer/geometry.js';

const PICTURE = { width: 100, height: 80 };
const close = (actual, expected) => assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);

test('a fitted picture touches the nearer pair of edges and is centred on the other', () => {
  assert.deepEqual(geometry.fitView({ width: 400, height: 400 }, PICTURE), { scale: 4, x: 0, y: 40 });
  assert.deepEqual(geometry.fitView({ width: 900, height: 160 }, PICTURE), { scale: 2, x: 350, y: 0 });
});

test('zooming keeps the picture point under the cursor where it is', () => {
  const view = { scale: 0.37, x: -12.5, y: 41 };
  const cursor = { x: 233, y: 87 };
  const before = geometry.toPicture(view, cursor.x, cursor.y);
  const after = geometry.toPicture(geometry.zoomAt(view, cursor, 3.1), cursor.x, cursor.y);
  close(after.x, before.x);
  close(after.y, before.y);
});

test('zoom ends at its limits', () => {
  assert.equal(geometry.zoomAt({ scale: 39, x: 0, y: 0 }, { x: 0, y: 0 }, 10).scale, 40);
  assert.equal(geometry.zoomAt({ scale: 0.03, x: 0, y: 0 }, { x: 0, y: 0 }, 0.01).scale, 0.02);
});

test('screen and picture coordinates are inverse to each other', () => {
  const view = { scale: 2.5, x: 17, y: -9 };
  assert.deepEqual(geometry.toScreen(view, 10, 20), { x: 42, y: 41 });
  assert.deepEqual(geometry.toPicture(view, 42, 41), { x: 10, y: 20 });
});

test('a picture cannot be pushed out of sight', () => {
  const viewport = { width: 400, height: 300 };
  const view = geometry.keptInSight({ scale: 1, x: 5000, y: -5000 }, viewport, PICTURE);
  assert.deepEqual(view, { scale: 1, x: 340, y: -20 });
});

test('the visible part is in whole pixels and within the picture', () => {
  const part = geometry.visiblePart({ scale: 2, x: -21, y: 30 }, { width: 100, height: 100 }, PICTURE);
  assert.deepEqual(part, [10, 0, 61, 35]);
});

test('halves round up, as on the server', () => {
  assert.deepEqual([0.5, 1.5, 2.49, -0.5].map(geometry.roundHalfUp), [1, 2, 2, 0]);
});

test('a drag in any direction gives the same half-open box', () => {
  const corners = [{ x: 10.2, y: 20.6 }, { x: 30.5, y: 44.4 }];
  assert.deepEqual(geometry.boxBetween(corners[0], corners[1], PICTURE), [10, 21, 31, 44]);
  assert.deepEqual(geometry.boxBetween(corners[1], corners[0], PICTURE), [10, 21, 31, 44]);
});

test('a drag beyond the picture is clipped to it', () => {
  assert.deepEqual(geometry.boxBetween({ x: -50, y: -3 }, { x: 500, y: 500 }, PICTURE), [0, 0, 100, 80]);
});

test('a box under two pixels is none', () => {
  assert.equal(geometry.boxBetween({ x: 5, y: 5 }, { x: 6.4, y: 50 }, PICTURE), null);
  assert.equal(geometry.boxBetween({ x: -9, y: 5 }, { x: 0.4, y: 50 }, PICTURE), null);
  assert.deepEqual(geometry.boxBetween({ x: 5, y: 5 }, { x: 7, y: 7 }, PICTURE), [5, 5, 7, 7]);
});

test('a moved box keeps its size and stops at the border', () => {
  assert.deepEqual(geometry.moveBox([10, 10, 30, 20], 5.5, -3.2, PICTURE), [16, 7, 36, 17]);
  assert.deepEqual(geometry.moveBox([10, 10, 30, 20], 500, 500, PICTURE), [80, 70, 100, 80]);
  assert.deepEqual(geometry.moveBox([10, 10, 30, 20], -500, -500, PICTURE), [0, 0, 20, 10]);
});

test('each of the eight handles moves its own edges only', () => {
  const moved = Object.fromEntries(geometry.HANDLES.map((handle) => [handle, geometry.resizeBox([40, 30, 60, 50], handle, 3, 5, PICTURE)]));
  assert.deepEqual(moved, {
    nw: [43, 35, 60, 50], n: [40, 35, 60, 50], ne: [40, 35, 63, 50], e: [40, 30, 63, 50],
    se: [40, 30, 63, 55], s: [40, 30, 60, 55], sw: [43, 30, 60, 55], w: [43, 30, 60, 50],
  });
});

test('a handle that is dragged past the other side turns the box over', () => {
  assert.deepEqual(geometry.resizeBox([40, 30, 60, 50], 'e', -35, 0, PICTURE), [25, 30, 40, 50]);
  assert.equal(geometry.resizeBox([40, 30, 60, 50], 'e', -20, 0, PICTURE), null);
});

test('handles of the selected box come first, then its edge, then other edges, then its inside', () => {
  const regions = [{ region_id: 'big', box: [10, 10, 90, 70] }, { region_id: 'small', box: [30, 30, 50, 50] }];
  const hit = (x, y, selected, whole) => geometry.hitTest(regions, selected, { x, y }, 2, whole);
  assert.deepEqual(hit(11, 11, 'big'), { region_id: 'big', part: 'handle', handle: 'nw' });
  assert.deepEqual(hit(11, 25, 'big'), { region_id: 'big', part: 'edge' });
  assert.deepEqual(hit(50, 44, 'big'), { region_id: 'small', part: 'edge' });
  assert.deepEqual(hit(20, 20, 'big'), { region_id: 'big', part: 'inside' });
  assert.equal(hit(20, 20, null), null);
  assert.deepEqual(hit(40, 40, null, true), { region_id: 'small', part: 'inside' });
});

test('a corner wins over the middle of an edge on a tiny box', () => {
  const regions = [{ region_id: 'a', box: [10, 10, 12, 12] }];
  assert.equal(geometry.hitTest(regions, 'a', { x: 10, y: 10.5 }, 3).handle, 'nw');
});

test('a length uses the spacing of rows for y and of columns for x', () => {
  close(geometry.lengthMm({ x: 0, y: 0 }, { x: 30, y: 40 }, [0.2, 0.1]), Math.hypot(3, 8));
});

test('the scale bar has a round length that fits', () => {
  for (const scale of [0.05, 0.31, 1, 7.7]) {
    const { mm, width } = geometry.scaleBar(scale, [0.143, 0.143], 160);
    assert.ok(width <= 160 && width > 50, `${width} px`);
    close(width, (mm / 0.143) * scale);
    assert.match(mm.toExponential(), /^[125]e/);
  }
});
