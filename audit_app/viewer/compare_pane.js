// One pane of a comparison: the radiograph, a heat layer, its contour and maximum, the reader's boxes.

import { el, svg } from './dom.js';
import { outlinePath } from './outline.js';
import { PictureView } from './picture.js';
import { heatScene } from './scene.js';

const CROSS_PX = 9;
const EMPTY_MAPS = {
  no_evidence: 'No evidence: the map is empty',
  not_visible: 'The region lies outside what the model sees',
  invalid_input: 'The map is not valid and was not scored',
};

export class ComparePane {
  // onSave() saves this picture as a file.
  constructor({ onSave }) {
    this.title = el('h3', {});
    this.subtitle = el('p', { class: 'sa-subtitle' });
    this.save = el('button', { type: 'button', class: 'sa-save', title: 'Save this picture as PNG, with what it shows written below it', 'aria-label': 'Save this picture as PNG', text: 'PNG', on: { click: onSave } });
    this.stage = el('div', { class: 'sa-stage', tabindex: 0, role: 'img' });
    this.notice = el('p', { class: 'sa-notice', role: 'note' });
    this.numbers = el('dl', { class: 'sa-numbers' });
    this.root = el('section', { class: 'sa-pane' }, el('header', {}, this.title, this.subtitle, this.save), this.stage, this.numbers);
    this.picture = new PictureView(this.stage, { onDraw: () => this.place() });
    this.buildOverlay();
    this.stage.append(this.notice);
    this.scene = heatScene(null);
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

  // pane: {title, subtitle, heat, numbers, caption, is_waiting}; a `scene` in the place of `heat` is drawn as it is.
  show(pane, { meta, regions, colour }) {
    this.pane = pane;
    this.context = { meta, regions, colour };
    const hasMap = Boolean(pane.heat || pane.scene);
    this.title.textContent = pane.title;
    this.title.title = pane.title;
    this.subtitle.textContent = hasMap ? pane.subtitle : '';
    this.subtitle.title = this.subtitle.textContent;
    this.numbers.replaceChildren(...pane.numbers.map(([name, value]) => el('div', {}, el('dt', { text: name }), el('dd', { text: value }))));
    this.showScene(pane.scene ?? heatScene(pane.heat, meta));
    this.showBoxes(regions, colour);
    const reason = hasMap ? EMPTY_MAPS[pane.heat?.status] ?? '' : pane.subtitle;
    this.notice.textContent = reason;
    this.notice.hidden = !reason;
    this.notice.classList.toggle('sa-waiting', Boolean(pane.is_waiting));
    this.save.disabled = !hasMap;
    const numbers = pane.numbers.map(([name, value]) => `${name} ${value}`).join(', ');
    this.stage.setAttribute('aria-label', `${pane.title}: ${reason || 'saliency map'}. ${numbers}`);
  }

  showScene(scene) {
    this.scene = scene;
    this.peak = scene.peak;
    this.cross.setAttribute('visibility', this.peak ? 'visible' : 'hidden');
    this.picture.heat = scene.image ? { image: scene.image, box: scene.box } : null;
    this.contour.setAttribute('d', scene.contour);
    this.blind.setAttribute('d', scene.blind);
    this.picture.redraw();
  }

  showBoxes(regions, colour) {
    const lines = ['sa-box-halo', 'sa-box-line'];
    this.boxes.replaceChildren(...regions.flatMap((region) => lines.map((name) => regionElement(region, { class: name, stroke: name === 'sa-box-line' ? colour : null }))));
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

// The outline where the source drew one (agreement is measured with it), else the box.
function regionElement({ box: [left, top, right, bottom], shape }, attributes) {
  if (shape) return svg('path', { ...attributes, d: outlinePath(shape) });
  return svg('rect', { ...attributes, x: left, y: top, width: right - left, height: bottom - top });
}
