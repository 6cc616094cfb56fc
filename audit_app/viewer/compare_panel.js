// Maps beside each other: same picture, window, zoom and opacity everywhere, five ways to look at them.

import { PaneControls } from './compare_controls.js';
import { GridView } from './compare_grid.js';
import { LayersView } from './compare_layers.js';
import { MethodLine } from './compare_methods.js';
import { ComparePane } from './compare_pane.js';
import { ModesView, PairView } from './compare_views.js';
import { WordsView } from './compare_words.js';
import { el, isTyping } from './dom.js';
import { Gestures } from './gestures.js';
import { infernoColour } from './heat.js';
import { prepared } from './meta.js';
import { PixelCache } from './pixels.js';
import { Raster } from './raster.js';
import { download, pngOf } from './saving_png.js';
import { exportFrame, fileName } from './sheet_layout.js';
import * as transport from './transport.js';
import { colourWords, displayTable } from './windowing.js';

const FIRST_OPACITY = 0.5;
const LOOK_AGAIN_MS = 350;
const PATIENCE_MS = 8000; // after it an answer is taken for lost
const RESEND_MS = 3000; // after it a choice is
const FILE_EDGE = 1100;
const VIEWS = { modes: ModesView, grid: GridView, layers: LayersView, pair: PairView, words: WordsView };

export class ComparePanel {
  // trigger(event, data): 'choose' and 'refresh' go to the server.
  constructor(host, trigger = () => {}) {
    Object.assign(this, { host, trigger, view: null, viewName: '', caseId: null, raster: null, isHidden: false });
    Object.assign(this, { serial: 0, pending: null, isInverted: false, preset: null, value: null });
    this.pixels = new PixelCache({ fetchPixels: transport.fetchPixels });
    this.build();
    host.comparePanel = this;
    this.show(null);
  }

  get panes() {
    return this.view?.panes ?? [];
  }

  build() {
    const redraw = () => this.applyStyle();
    const button = (text, title, click) => el('button', { type: 'button', class: 'sa-tool', text, title, on: { click } });
    this.tabs = el('div', { class: 'sa-segmented', role: 'group', 'aria-label': 'View' });
    this.opacity = el('input', { type: 'range', min: 0, max: 1, step: 0.02, value: FIRST_OPACITY, 'aria-label': 'Opacity of the maps', on: { input: redraw } });
    this.contour = el('input', { type: 'checkbox', checked: true, on: { change: redraw } });
    this.presets = el('select', { 'aria-label': 'Window preset', on: { change: () => this.choosePreset() } });
    this.saving = button('Save PNG', 'Save what is shown as one PNG, with its provenance written below it', () => this.saveView());
    this.message = el('p', { class: 'sa-message', role: 'alert', hidden: true });
    this.controls = el('div', { class: 'sa-toolbar', role: 'toolbar', 'aria-label': 'Picture and map tools' },
      this.tabs,
      el('label', { class: 'sa-opacity' }, el('span', { text: 'Map' }), this.opacity), legend(),
      el('label', { title: 'Where the map exceeds half of its range: the prediction that IoU scores' }, this.contour, el('span', { text: 'Contour' })),
      el('div', { class: 'sa-spacer' }), this.presets,
      button('Fit', 'Fit to the pane (F)', () => this.each((picture) => picture.fit())),
      button('Hide', 'Film only (hold H)', () => this.setHidden(!this.isHidden)), this.saving);
    this.methods = new MethodLine((method) => this.choose({ method }));
    this.place = el('div', { class: 'sa-view-place' });
    this.empty = el('p', { class: 'sa-empty' });
    this.host.classList.add('sa-panel', 'sa-compare');
    this.host.tabIndex = -1;
    this.host.replaceChildren(el('h2', { class: 'sa-unseen', text: 'Maps' }), this.controls, this.message, this.place, this.methods.root, this.empty);
    this.host.addEventListener('keydown', (event) => this.key(event));
    this.host.addEventListener('keyup', (event) => event.key.toLowerCase() === 'h' && !isTyping(event.target) && this.setHidden(false));
  }

  // --- values from the server --------------------------------------------------------------------

  // {case_id, view, serial, is_waiting, content, ...}, the short form {unchanged: true, ...}, or null.
  show(value) {
    if (value && this.isLate(value)) return;
    // A panel that was built anew goes on counting where the one before it stopped.
    this.serial = Math.max(this.serial, value?.serial ?? 0);
    this.await(value);
    if (value?.unchanged) return;
    this.value = value;
    const isShown = Boolean(value?.content);
    this.host.classList.toggle('sa-is-empty', !isShown);
    this.empty.textContent = value?.problem ?? (isShown ? '' : 'Nothing to compare yet.');
    this.host.classList.remove('sa-is-asking');
    if (!isShown) {
      this.caseId = null;
      return;
    }
    if (value.case_id !== this.caseId) this.openCase(value);
    this.showTabs(value);
    this.showMethod(layerOf(value.content));
    this.showView(value);
    this.applyStyle();
  }

  // An answer to an earlier question while a newer one is on its way.
  isLate({ serial }) {
    const { pending } = this;
    if (!pending) return false;
    const isOwn = serial === pending.serial;
    if (isOwn || performance.now() - pending.since > PATIENCE_MS) this.pending = null;
    return this.pending !== null;
  }

  // Keeps asking while maps are being computed; each answer leads to the next question.
  await(value) {
    clearTimeout(this.timer);
    if (!value?.is_waiting) return;
    const again = () => {
      if (!this.host.isConnected) return;
      this.trigger('refresh', { stamp: value.stamp, serial: value.serial });
      this.timer = setTimeout(again, PATIENCE_MS);
    };
    this.timer = setTimeout(again, LOOK_AGAIN_MS);
  }

  // What was chosen before and is not answered yet goes along: of a burst of events any may get lost.
  choose(data) {
    this.serial += 1;
    this.pending = { serial: this.serial, since: performance.now(), data: { ...this.pending?.data, ...data } };
    this.host.classList.add('sa-is-asking');
    this.ask(this.serial);
    setTimeout(() => this.host.classList.remove('sa-is-asking'), PATIENCE_MS);
  }

  // Until it is answered or something newer is asked; asking twice chooses the same.
  ask(serial) {
    if (this.pending?.serial !== serial || !this.host.isConnected) return;
    this.trigger('choose', { ...this.pending.data, serial });
    setTimeout(() => this.ask(serial), RESEND_MS);
  }

  showTabs({ options, view }) {
    this.tabs.replaceChildren(...options.views.map(({ name, title }) => el('button', {
      type: 'button', text: title, 'aria-pressed': String(name === view), on: { click: () => name !== this.viewName && this.choose({ view: name }) },
    })));
  }

  // The words of the method, with the layer that the shown maps were read at.
  showMethod(layer) {
    const { options } = this.value;
    this.methods.show(options, layer, methodOf(this.value));
  }

  showView(value) {
    if (this.viewName !== value.view) {
      this.view?.dispose();
      this.viewName = value.view;
      this.view = new VIEWS[value.view](this);
      this.place.replaceChildren(this.view.root);
    }
    const colour = value.meta.findings.find(({ name }) => name === value.finding)?.colour ?? '#ffffff';
    const { reader, finding, meta, regions, options } = value;
    this.view.show(value.content, { caseId: value.case_id, reader, finding, meta, regions, options, colour });
  }

  // --- picture -----------------------------------------------------------------------------------

  async openCase(value) {
    this.caseId = value.case_id;
    this.meta = prepared(value.meta);
    Object.assign(this, { raster: null, isInverted: false, preset: this.meta.presets[this.meta.default_preset] });
    this.message.hidden = true;
    this.presets.replaceChildren(...this.meta.presets.map((preset, at) => el('option', { value: at, text: preset.name })));
    this.presets.value = String(this.meta.default_preset);
    this.panes.forEach((pane) => this.openPane(pane));
    try {
      const pixels = await this.pixels.get(this.meta);
      if (this.caseId !== value.case_id) return;
      this.loaded = pixels;
      this.raster = new Raster(pixels, this.meta.width, this.meta.height);
      this.applyWindow();
      this.panes.forEach((pane) => this.openPane(pane, true));
      this.view.redraw();
    } catch (error) {
      this.message.textContent = `The picture could not be loaded: ${error.message}`;
      this.message.hidden = false;
    }
  }

  // Panes of a view, made and removed so that there are `count`.
  setPanes(view, board, count) {
    while (view.panes.length > count) view.panes.pop().dispose();
    while (view.panes.length < count) {
      const pane = new ComparePane({ onSave: () => this.savePanes([pane]) });
      view.panes.push(pane);
      board.append(pane.root);
      const gestures = new Gestures(pane.stage, new PaneControls(this, pane));
      gestures.tool = 'pan';
      if (this.meta && this.caseId) this.openPane(pane);
    }
    board.style.setProperty('--sa-panes', Math.max(1, count));
  }

  openPane({ picture, scene }, isOpen = false) {
    if (!isOpen) picture.open(this.meta);
    Object.assign(picture, { isInverted: this.isInverted, preset: this.preset });
    if (scene.image) picture.heat = { image: scene.image, box: scene.box };
    if (this.raster) picture.setRaster(this.raster, this.loaded);
  }

  each(action) {
    this.panes.forEach((pane) => pane.picture.meta && action(pane.picture));
  }

  choosePreset() {
    const preset = this.meta?.presets[Number(this.presets.value)];
    if (preset) this.setPreset(preset);
  }

  setPreset(preset) {
    this.preset = preset;
    this.each((picture) => picture.setPreset(preset));
    this.applyWindow();
  }

  setInverted(isInverted) {
    this.isInverted = isInverted;
    this.each((picture) => picture.setInverted(isInverted));
    this.applyWindow();
  }

  // The panes set the raster's greys too; small pictures have no pane that would.
  applyWindow() {
    if (!this.raster) return;
    const isLightAir = this.meta.photometric === 'MONOCHROME1';
    this.raster.setWords(colourWords(displayTable(this.preset, this.meta.bits, isLightAir !== this.isInverted)));
    this.view.redraw();
  }

  style() {
    return { opacity: Number(this.opacity.value), hasContour: this.contour.checked, isHidden: this.isHidden };
  }

  applyStyle() {
    const { opacity, hasContour, isHidden } = this.style();
    for (const pane of this.panes) {
      pane.picture.opacity = isHidden ? 0 : opacity;
      pane.setContour(hasContour);
      pane.setHidden(isHidden);
      pane.picture.redraw();
    }
    this.view?.redraw();
  }

  setHidden(isHidden) {
    if (isHidden === this.isHidden) return;
    this.isHidden = isHidden;
    this.applyStyle();
  }

  key(event) {
    if (event.target === this.presets || isTyping(event.target)) return;
    const key = event.key.toLowerCase();
    if (key === 'f') this.each((picture) => picture.fit());
    else if (key === 'h') this.setHidden(true);
    else if (key === '+' || key === '=') this.each((picture) => picture.zoomBy(1.25));
    else if (key === '-') this.each((picture) => picture.zoomBy(0.8));
    else if (key === 'i') this.setInverted(!this.isInverted);
    else return;
    event.preventDefault();
  }

  // --- files -------------------------------------------------------------------------------------

  saveView() {
    const sheet = this.view?.sheet();
    if (sheet?.panes?.length) this.savePanes(sheet.panes, sheet);
    else if (sheet?.cells?.length) this.save(sheet);
    else this.say('There is no map to save yet.');
  }

  savePanes(panes, { columns = panes.length, caption = [], isDifference = panes.some(({ pane }) => pane.scene) } = {}) {
    const cells = panes.map(({ pane, picture, scene, context }) => ({
      title: pane.title,
      subtitle: [pane.subtitle, ...pane.numbers.map(([name, text]) => `${name} ${text}`)].join(' · '),
      scene,
      frame: exportFrame(picture.view, picture.viewport, this.meta, FILE_EDGE),
      style: { ...this.style(), raster: this.raster, regions: context.regions, colour: context.colour },
    }));
    this.save({ cells, columns, isDifference, caption: [...caption, ...panes.flatMap(({ pane }) => pane.caption)] });
  }

  async save(sheet) {
    if (!this.raster) {
      this.say('The picture is still being loaded.');
      return;
    }
    const { finding, view } = this.value;
    try {
      const blob = await pngOf({ title: titleOf(this.value), ...sheet });
      download(blob, fileName('saliency', this.caseId.slice(0, 8), view === 'grid' ? 'all-findings' : finding, view));
    } catch (error) {
      this.say(`The picture could not be saved: ${error.message}`);
    }
  }

  say(text) {
    this.message.textContent = text;
    this.message.hidden = false;
    clearTimeout(this.silence);
    this.silence = setTimeout(() => { this.message.hidden = true; }, 5000);
  }
}

// Free words are explained by methods of their own.
const methodOf = ({ content, options }) => content?.method || options.method;

function titleOf(value) {
  const { finding, view, options } = value;
  const { title } = options.methods.find(({ name }) => name === methodOf(value));
  const what = view === 'grid' ? 'All findings' : finding;
  const models = view === 'pair' ? 'two maps and their difference' : options.model;
  return `${what}: ${models}, ${title}`;
}

const layerOf = ({ pane, panes = [pane], rows = [] }) => [...panes, ...rows].find((one) => one?.layer)?.layer ?? '';

// Each map is drawn between its own lowest and highest value.
function legend() {
  const colours = [0, 0.25, 0.5, 0.75, 1].map((share) => `rgb(${infernoColour(0.15 + 0.85 * share).join(' ')})`);
  const strip = el('span', { class: 'sa-legend', title: 'Each map between its own lowest and highest value', role: 'img', 'aria-label': 'Colours from the lowest to the highest value of each map' });
  strip.style.background = `linear-gradient(to right, ${colours.join(', ')})`;
  return strip;
}
