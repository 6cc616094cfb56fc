// The picture under the pointer in a plot of points, and the same picture ringed in its other maps.

import { el } from './dom.js';
import { PlotWatch } from './plots.js';

const LOAD_AFTER_MS = 90; // a pointer that crosses a cloud of points asks for no picture
const GAP_PX = 16;

// Each point's data are [image id, labels, predictions].
export const caseOf = (point) => point?.customdata?.[0] ?? null;

// Where a card of this size stands: beside the pointer, inside of the window.
export function cardPlace(pointer, card, view) {
  const right = pointer.x + GAP_PX;
  const x = right + card.width <= view.width ? right : pointer.x - GAP_PX - card.width;
  const y = Math.min(pointer.y + GAP_PX, view.height - card.height - 4);
  return { x: Math.max(4, x), y: Math.max(4, y) };
}

// Every place of an image in the plot: [{x, y, xaxis, yaxis}] with names as in the layout.
export function placesOf(data, id) {
  return data.flatMap((trace) => {
    const row = trace.customdata?.findIndex((told) => told[0] === id) ?? -1;
    const axis = (letter) => (trace[`${letter}axis`] ?? letter).replace(letter, `${letter}axis`);
    return row < 0 ? [] : [{ x: trace.x[row], y: trace.y[row], xaxis: axis('x'), yaxis: axis('y') }];
  });
}

export class ExplorerCard {
  // trigger(event, data) reaches Python: 'open'.
  constructor(host, trigger) {
    Object.assign(this, { host, trigger, plot: null, shown: null, timer: null, rings: [] });
    this.picture = el('img', { class: 'sa-card-picture', alt: '' });
    this.missing = el('p', { class: 'sa-card-missing', text: 'This picture cannot be shown: its file is gone or changed.' });
    this.labels = el('dd');
    this.predicted = el('dd');
    this.card = el('div', { class: 'sa-explorer-card', role: 'status', hidden: true }, this.picture, this.missing,
      el('dl', {}, el('dt', { text: 'Labels' }), this.labels, el('dt', { text: 'Predicted' }), this.predicted));
    this.picture.addEventListener('error', () => this.markMissing(true));
    this.picture.addEventListener('load', () => this.markMissing(false));
    document.body.append(this.card);
    this.onHover = (event) => this.hover(event);
    this.onLeave = () => this.hide();
    this.onClick = (event) => this.open(event);
    this.plots = new PlotWatch((plot) => this.attach(plot));
  }

  show(value) {
    this.hide();
    if (!value) return;
    this.plots.watch(document.getElementById(value.plot));
  }

  attach(plot) {
    this.plot = plot;
    plot.on('plotly_hover', this.onHover);
    plot.on('plotly_unhover', this.onLeave);
    plot.on('plotly_click', this.onClick);
    plot.addEventListener('mouseleave', this.onLeave);
  }

  hover({ points, event }) {
    const id = caseOf(points[0]);
    if (!id) return;
    const [, labels, predicted] = points[0].customdata;
    this.labels.textContent = labels;
    this.predicted.textContent = predicted;
    if (id !== this.shown) this.askFor(id);
    this.card.hidden = false;
    const size = this.card.getBoundingClientRect();
    const { x, y } = cardPlace({ x: event.clientX, y: event.clientY }, size, { width: innerWidth, height: innerHeight });
    Object.assign(this.card.style, { left: `${x}px`, top: `${y}px` });
    this.ring(id);
  }

  askFor(id) {
    this.shown = id;
    clearTimeout(this.timer);
    this.picture.removeAttribute('src');
    this.markMissing(false);
    this.timer = setTimeout(() => {
      this.picture.src = new URL(`audit/images/${encodeURIComponent(id)}/preview`, document.baseURI);
    }, LOAD_AFTER_MS);
  }

  markMissing(isMissing) {
    this.missing.hidden = !isMissing;
    this.picture.hidden = isMissing;
  }

  ring(id) {
    this.clearRings();
    const layout = this.plot._fullLayout;
    this.rings = placesOf(this.plot.data, id).map(({ x, y, xaxis, yaxis }) => {
      const [across, down] = [layout[xaxis], layout[yaxis]];
      const ring = el('span', { class: 'sa-ring' });
      Object.assign(ring.style, { left: `${across._offset + across.d2p(x)}px`, top: `${down._offset + down.d2p(y)}px` });
      return ring;
    });
    this.plot.append(...this.rings);
  }

  clearRings() {
    for (const ring of this.rings) ring.remove();
    this.rings = [];
  }

  hide() {
    clearTimeout(this.timer);
    this.card.hidden = true;
    this.shown = null;
    this.clearRings();
  }

  open({ points }) {
    const id = caseOf(points[0]);
    this.hide();
    if (id) this.trigger('open', { case_id: id });
  }
}
