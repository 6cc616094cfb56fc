// What other readers marked, dashed and below the reader's own boxes: to be seen, never to be picked.

import { svg } from './dom.js';
import { toScreen } from './geometry.js';
import { outlinePath } from './outline.js';

// Told apart from each other; a box here always bears its reader's name, too.
export const READER_COLOURS = ['#c4b5fd', '#fdba74', '#7dd3fc', '#f9a8d4', '#bef264'];

export const coloured = (readings) =>
  readings.map((reading, at) => ({ ...reading, colour: READER_COLOURS[at % READER_COLOURS.length] }));

export class EarlierLayer {
  constructor(host) {
    this.root = svg('svg', { class: 'sa-boxes sa-earlier', 'aria-hidden': 'true' });
    host.append(this.root);
  }

  // readings: [{reader, colour, regions}]
  render(view, readings) {
    this.root.replaceChildren(...readings.flatMap(({ reader, colour, regions }) => regions.flatMap((region) => {
      const from = toScreen(view, region.box[0], region.box[1]);
      const label = svg('text', { class: 'sa-box-tag', x: from.x, y: Math.max(from.y - 5, 12), fill: colour });
      label.textContent = `${region.finding} (${reader})`;
      return [drawnRegion(region, view, colour), label];
    })));
  }

  setHidden(isHidden) {
    this.root.classList.toggle('sa-hidden', isHidden);
  }
}

// What was marked: the outline where a source drew one, else the box.
function drawnRegion({ box, shape }, view, colour) {
  const line = { stroke: colour, 'stroke-dasharray': '6 4', 'stroke-opacity': 0.85 };
  if (shape) {
    return svg('path', { class: 'sa-outline', d: outlinePath(shape), transform: `translate(${view.x} ${view.y}) scale(${view.scale})`, ...line });
  }
  const from = toScreen(view, box[0], box[1]);
  return svg('rect', {
    class: 'sa-box-line', x: from.x, y: from.y, width: (box[2] - box[0]) * view.scale, height: (box[3] - box[1]) * view.scale, ...line,
  });
}
