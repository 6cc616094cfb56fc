// One pane of a comparison: the radiograph, a heat layer, its contour and maximum, the reader's boxes.

import { base64Bytes, el, svg } from './dom.js';
import { blindPath, contourPath, heatColours, isWholePicture } from './heat.js';
import { PictureView } from './picture.js';

const CROSS_PX = 9;
const EMPTY_MAPS = {
  no_evidence: 'No evidence: the map is empty',
  not_visible: 'The region lies outside what the model sees',
  invalid_input: 'The map is not valid and was not scored',
};

export class ComparePane {
  constructor() {
    this.title = el('h3', {});
    this.subtitle = el('p', { class: 'sa-subtitle' });
    this.stage = el('div', { class: 'sa-stage', tabindex: 0, role: 'img' });
    this.notice = el('p', { class: 'sa-notice', role: 'note' });
    this.numbers = el('dl', { class: 'sa-numbers' });
    this.root = el('section', { class: 'sa-pane' }, el('header', {}, this.title, this.subtitle), this.stage, this.numbers);
    this.picture = new PictureView(this.stage, { onDraw: () => this.place() });
    this.buildOverlay();
    this.stage.append(this.notice);
  }

  buildOverlay() {
    this.blind = svg('path', { class: 'sa-blind', 'fill-rule': 'evenodd' });
    this.boxes = svg('g', { class: 'sa-reader-boxes' });
    this.contour = svg('path', { class: 'sa-contour' });
    this.scaled = svg('g', {}, this.blind, this.contour, this.boxes);
    this.cross = svg('path', { class: 'sa-cross', d: `M${-CROSS_PX} 0H${CROSS_PX}M0 ${-CROSS_PX}V${CROSS_PX}` });
    const stripe = svg('path', { d: 'M0 0L8 8M-2 6L2 10M6 -2L10 2', class: 'sa-hatch-line' });
    // An id of its own for each pane: a page may show several.
    const id = `sa-hatch-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
    this.hatch = svg('pattern', { id, width: 8, height: 8, patternUnits: 'userSpaceOnUse' }, stripe);
    this.blind.setAttribute('fill', `url(#${id})`);
    this.overlay = svg('svg', { class: 'sa-boxes sa-passive', 'aria-hidden': 'true' }, svg('defs', {}, this.hatch), this.scaled, this.cross);
    this.stage.append(this.overlay);
  }

  show(pane, { meta, regions, colour }) {
    this.title.textContent = pane.title;
    this.subtitle.textContent = pane.subtitle;
    this.numbers.replaceChildren(...pane.numbers.flatMap(([name, value]) => [el('dt', { text: name }), el('dd', { text: value })]));
    this.showHeat(pane.heat, meta);
    this.showBoxes(regions, colour);
    const reason = pane.heat ? EMPTY_MAPS[pane.heat.status] ?? '' : pane.subtitle;
    this.notice.textContent = reason;
    this.notice.hidden = !reason;
    const numbers = pane.numbers.map(([name, value]) => `${name} ${value}`).join(', ');
    this.stage.setAttribute('aria-label', `${pane.title}: ${reason || 'saliency map'}. ${numbers}`);
  }

  showHeat(heat, meta) {
    this.peak = heat?.peak ?? null;
    this.cross.setAttribute('visibility', this.peak ? 'visible' : 'hidden');
    const isShown = heat && heat.status !== 'no_evidence';
    const values = isShown ? base64Bytes(heat.values_b64) : null;
    this.picture.heat = isShown ? { image: heatImage(values, heat), box: heat.box } : null;
    this.contour.setAttribute('d', isShown ? contourPath({ ...heat, values }, heat.threshold * 255) : '');
    this.blind.setAttribute('d', heat && !isWholePicture(heat.box, meta) ? blindPath(heat.box, meta) : '');
  }

  showBoxes(regions, colour) {
    this.boxes.replaceChildren(...regions.flatMap(({ box: [left, top, right, bottom] }) => ['sa-box-halo', 'sa-box-line'].map((name) => svg('rect', {
      class: name, x: left, y: top, width: right - left, height: bottom - top, stroke: name === 'sa-box-line' ? colour : null,
    }))));
  }

  place() {
    const { scale, x, y } = this.picture.view;
    this.scaled.setAttribute('transform', `translate(${x} ${y}) scale(${scale})`);
    // The hatching keeps its size on the screen.
    this.hatch.setAttribute('patternTransform', `scale(${1 / scale})`);
    if (this.peak) this.cross.setAttribute('transform', `translate(${x + this.peak[0] * scale} ${y + this.peak[1] * scale})`);
  }

  setContour(isShown) {
    this.contour.setAttribute('visibility', isShown ? 'visible' : 'hidden');
  }

  setHidden(isHidden) {
    this.overlay.classList.toggle('sa-hidden', isHidden);
  }

  dispose() {
    this.picture.dispose();
    this.root.remove();
  }
}

function heatImage(values, { width, height }) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d').putImageData(new ImageData(heatColours(values), width, height), 0, 0);
  return canvas;
}
