import assert from 'node:assert/strict';
import test from 'node:test';
import { PlotWatch } from '../../../audit_app/viewer/plots.js';
import { RowPoints } from '../../../audit_app/viewer/row_points.js';

// What a page with some plots gives to a script.
function placeOf(...plots) {
  return { querySelectorAll: () => plots };
}

test('a click on a dot sends the number of its row, one on a group of rows sends nothing', () => {
  const sent = [];
  const points = new RowPoints(null, (event, data) => sent.push([event, data]));
  points.open({ points: [{ customdata: 9 }] });
  points.open({ points: [{}] });
  assert.deepEqual(sent, [['open', { row: 9 }]]);
});

test('a plot is heard once, and only when its script is there', () => {
  const [early, late] = [{ on() {} }, {}];
  const heard = [];
  const watch = new PlotWatch((plot) => heard.push(plot));
  watch.look(placeOf(early, late));
  watch.look(placeOf(early, late));
  assert.deepEqual(heard, [early]);
  late.on = () => {};
  watch.look(placeOf(early, late));
  assert.deepEqual(heard, [early, late]);
});
