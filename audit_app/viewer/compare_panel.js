// Several modes side by side: same picture, window, zoom and opacity in every pane, all in the page.

import { ComparePane } from './compare_pane.js';
import { el } from './dom.js';
import { toPicture } from './geometry.js';
import { Gestures } from './gestures.js';
import { infernoColour } from './heat.js';
import { prepared } from './meta.js';
import { PixelCache } from './pixels.js';
import { Raster } from './raster.js';
import * as transport from './transport.js';

const FIRST_OPACITY = 0.5;

export class ComparePanel {
  constructor(host) {
    Object.assign(this, { host, panes: [], caseId: null, raster: null, isHidden: false });
    this.pixels = new PixelCache({ fetchPixels: transport.fetchPixels });
    this.build();
    host.comparePanel = this;
    this.show(null);
  }

  build() {
    const redraw = () => this.applyOpacity();
    this.opacity = el('input', { type: 'range', min: 0, max: 1, step: 0.02, value: FIRST_OPACITY, 'aria-label': 'Opacity of the maps', on: { input: redraw } });
    this.contour = el('input', { type: 'checkbox', checked: true, on: { change: redraw } });
    this.presets = el('select', { 'aria-label': 'Window preset', on: { change: () => this.choosePreset() } });
    const button = (text, title, click) => el('button', { type: 'button', class: 'sa-tool', text, title, on: { click } });
    this.message = el('p', { class: 'sa-message', role: 'alert', hidden: true });
    this.controls = el('div', { class: 'sa-toolbar', role: 'toolbar', 'aria-label': 'Picture and map tools' },
      el('label', { class: 'sa-opacity' }, el('span', { text: 'Map' }), this.opacity),
      legend(),
      el('label', {}, this.contour, el('span', { text: 'Contour at the threshold' })),
      el('div', { class: 'sa-spacer' }), this.presets,
      button('Fit', 'Fit to the pane (F)', () => this.each((picture) => picture.fit())),
      button('Hide', 'Film only (hold H)', () => this.setHidden(!this.isHidden)));
    this.board = el('div', { class: 'sa-board' });
    this.empty = el('p', { class: 'sa-empty' });
    this.host.classList.add('sa-panel', 'sa-compare');
    this.host.tabIndex = -1;
    this.host.replaceChildren(this.controls, this.message, this.board, this.empty);
    this.host.addEventListener('keydown', (event) => this.key(event));
    this.host.addEventListener('keyup', (event) => event.key.toLowerCase() === 'h' && this.setHidden(false));
  }

  // {case_id, finding, meta, regions, panes: [...]} or null
  show(value) {
    const isShown = Boolean(value?.panes?.length);
    this.host.classList.toggle('sa-is-empty', !isShown);
    this.empty.textContent = value?.problem ?? (isShown ? '' : 'Nothing to compare yet.');
    if (!isShown) {
      this.caseId = null;
      return;
    }
    this.setPaneCount(value.panes.length);
    if (value.case_id !== this.caseId) this.openCase(value);
    const colour = value.meta.findings.find(({ name }) => name === value.finding)?.colour ?? '#ffffff';
    const context = { meta: value.meta, regions: value.regions, colour };
    value.panes.forEach((pane, i) => this.panes[i].show(pane, context));
    this.applyOpacity();
  }

  setPaneCount(count) {
    while (this.panes.length > count) this.panes.pop().dispose();
    while (this.panes.length < count) {
      const pane = new ComparePane();
      this.panes.push(pane);
      this.board.append(pane.root);
      const gestures = new Gestures(pane.stage, new PaneControls(this, pane));
      gestures.tool = 'pan';
      if (this.meta && this.caseId) this.openPane(pane);
    }
    this.board.style.setProperty('--sa-panes', count);
  }

  async openCase(value) {
    this.caseId = value.case_id;
    this.meta = prepared(value.meta);
    this.raster = null;
    this.message.hidden = true;
    this.presets.replaceChildren(...this.meta.presets.map((preset, at) => el('option', { value: at, text: preset.name })));
    this.presets.value = String(this.meta.default_preset);
    this.panes.forEach((pane) => this.openPane(pane));
    try {
      const pixels = await this.pixels.get(this.meta);
      if (this.caseId !== value.case_id) return;
      this.raster = new Raster(pixels, this.meta.width, this.meta.height);
      this.loaded = pixels;
      this.panes.forEach((pane) => pane.picture.setRaster(this.raster, pixels));
    } catch (error) {
      this.message.textContent = `The picture could not be loaded: ${error.message}`;
      this.message.hidden = false;
    }
  }

  openPane(pane) {
    pane.picture.open(this.meta);
    if (this.raster) pane.picture.setRaster(this.raster, this.loaded);
  }

  each(action) {
    this.panes.forEach((pane) => action(pane.picture));
  }

  choosePreset() {
    const preset = this.meta?.presets[Number(this.presets.value)];
    if (preset) this.each((picture) => picture.setPreset(preset));
  }

  applyOpacity() {
    for (const pane of this.panes) {
      pane.picture.opacity = this.isHidden ? 0 : Number(this.opacity.value);
      pane.setContour(this.contour.checked);
      pane.setHidden(this.isHidden);
      pane.picture.redraw();
    }
  }

  setHidden(isHidden) {
    this.isHidden = isHidden;
    this.applyOpacity();
  }

  key(event) {
    if (event.target === this.presets) return;
    const key = event.key.toLowerCase();
    if (key === 'f') this.each((picture) => picture.fit());
    else if (key === 'h') this.setHidden(true);
    else if (key === '+' || key === '=') this.each((picture) => picture.zoomBy(1.25));
    else if (key === '-') this.each((picture) => picture.zoomBy(0.8));
    else if (key === 'i') this.each((picture) => picture.setInverted(!picture.isInverted));
    else return;
    event.preventDefault();
  }
}

// What the gestures of one pane do: the same to every pane.
class PaneControls {
  constructor(panel, pane) {
    Object.assign(this, { panel, pane, isEditable: false, selectedId: null });
    const { picture } = pane;
    this.picture = {
      get view() { return picture.view; },
      get meta() { return picture.meta; },
      window: () => picture.window(),
      panBy: (dx, dy) => panel.each((one) => one.panBy(dx, dy)),
      zoomBy: (factor, point) => panel.each((one) => one.zoomBy(factor, point)),
    };
  }

  isOpen() {
    return this.panel.caseId !== null;
  }

  takeFocus() {
    this.pane.stage.focus({ preventScroll: true });
  }

  toPicture({ x, y }) {
    return toPicture(this.pane.picture.view, x, y);
  }

  setView(view) {
    this.panel.each((picture) => picture.setView(view));
  }

  valueRange() {
    const { presets, bits } = this.pane.picture.meta;
    return Math.max(presets.find(({ kind }) => kind === 'window')?.width ?? 0, 2 ** bits / 16);
  }

  dragWindow(window) {
    this.panel.each((picture) => picture.setPreset({ ...window, kind: 'window', name: 'custom' }));
  }

  windowDone() {}

  pointAt() {}

  showDraft() {}

  hit() {
    return null;
  }
}

// Each map is drawn between its own lowest and highest value.
function legend() {
  const colours = [0, 0.25, 0.5, 0.75, 1].map((share) => `rgb(${infernoColour(0.15 + 0.85 * share).join(' ')})`);
  const strip = el('span', { class: 'sa-legend', title: 'Each map between its own lowest and highest value', role: 'img', 'aria-label': 'Colours from the lowest to the highest value of each map' });
  strip.style.background = `linear-gradient(to right, ${colours.join(', ')})`;
  return strip;
}
