// The reading panel: one case at a time, its picture, boxes, edits and commit.
// The server sends one value {case_id, meta, reading, ...}; edits go to our own routes and are acknowledged.

import { el, isTyping } from './dom.js';
import { Keyboard } from './keyboard.js';
import { prepared } from './meta.js';
import { PixelCache, sha256 } from './pixels.js';
import { History, ReadingModel } from './reading.js';
import { Saving } from './saving.js';
import { buildShortcutSheet } from './sheet.js';
import { Sidebar } from './sidebar.js';
import { Stepping } from './stepping.js';
import { Toolbar } from './toolbar.js';
import * as transport from './transport.js';
import { RadiographViewer } from './viewer.js';
import { buildCommands } from './commands.js';
import { coloured } from './earlier.js';
import { WorkClock, workedOn } from './work_clock.js';

const MESSAGE_MS = 6000;
const STATUS_NAMES = { new: 'not read', draft: 'draft', committed: 'committed', revised: 'revised' };

export class ReadingPanel {
  // trigger(event, data) reaches Python: 'step', 'changed', 'compare'.
  constructor(host, trigger) {
    Object.assign(this, { host, trigger, caseId: null, model: null, history: new History(), opening: 0 });
    this.clock = new WorkClock(() => workedOn(this));
    this.saving = new Saving(this);
    this.pixels = new PixelCache({ fetchPixels: transport.fetchPixels });
    this.colours = new Map();
    this.timing = {};
    this.build();
    this.viewer = new RadiographViewer(this.stage, this.viewerOwner());
    this.commands = buildCommands(this);
    this.keyboard = new Keyboard(this);
    this.stepping = new Stepping(this);
    this.listen();
    this.showEmpty('Choose a case in the worklist.');
    host.readingPanel = this;
  }

  // --- building ----------------------------------------------------------------------------------

  build() {
    this.title = el('h2', { class: 'sa-title' });
    this.badge = el('span', { class: 'sa-badge' });
    this.toolbar = new Toolbar({ run: (command) => this.run(command), choosePreset: (index) => this.choosePreset(index) });
    this.sidebar = new Sidebar(this.sidebarOwner());
    this.stage = el('div', { class: 'sa-stage', tabindex: 0, role: 'application', 'aria-label': 'Radiograph: no case is open' });
    this.empty = el('p', { class: 'sa-empty' });
    this.message = el('p', { class: 'sa-message', role: 'alert', hidden: true });
    this.sheet = buildShortcutSheet();
    this.stage.append(this.empty);
    this.host.replaceChildren(
      el('header', { class: 'sa-top' }, el('h1', { class: 'sa-unseen', text: 'Reading' }), this.title, this.badge, el('div', { class: 'sa-spacer' }), this.saving.state),
      this.toolbar.root, this.saving.conflict,
      el('div', { class: 'sa-main' }, el('div', { class: 'sa-stage-frame' }, this.stage, this.message), this.sidebar.root),
      this.sheet,
    );
    this.host.classList.add('sa-panel');
  }

  viewerOwner() {
    return {
      edit: (change, tag) => this.edit(change, tag),
      refuse: (text) => this.say(text),
      selected: () => this.selectionChanged(),
      windowChanged: () => this.toolbar.presets.show(-1),
      colourOf: (finding) => this.colourOf(finding),
    };
  }

  sidebarOwner() {
    return {
      chooseFinding: (name) => this.chooseFinding(name),
      chooseCertainty: (name) => this.chooseCertainty(name),
      selectBox: (id) => this.viewer.select(id, { withFocus: true }),
      deleteBox: (id) => this.edit({ kind: 'delete', region_id: id }),
      setNote: (text, id) => this.setNote(text.trim(), id),
      run: (command) => this.run(command),
    };
  }

  listen() {
    this.disposal = new AbortController();
    const on = (target, type, listener, options = {}) => target.addEventListener(type, (event) => {
      if (this.host.isConnected) listener(event);
      else this.dispose();
    }, { ...options, signal: this.disposal.signal });
    on(document, 'keydown', (event) => this.keyboard.down(event));
    on(document, 'keyup', (event) => this.keyboard.up(event));
    on(window, 'blur', () => this.keyboard.released());
    on(window, 'online', () => this.saving.retryNow());
    on(window, 'beforeunload', (event) => this.saving.leaving(event));
    this.clock.listen(on, this.host);
  }

  dispose() {
    this.disposal.abort();
    this.viewer.dispose();
  }

  viewers() {
    return [this.viewer];
  }

  // --- opening a case ----------------------------------------------------------------------------

  // One atomic value; null closes. The same case again only brings a newer reading.
  show(value) {
    this.stepping.answered();
    this.sidebar.keepNote(); // another case may come while one types
    if (!value) return this.showEmpty('Choose a case in the worklist.');
    this.saving.start(value);
    if (value.problem) return this.showEmpty(value.problem);
    if (value.case_id === this.caseId) return this.adopt(value.reading);
    return this.open(value);
  }

  showEmpty(text) {
    this.opening += 1;
    this.caseId = null;
    this.model = null;
    this.clock.turn();
    this.viewer.close();
    this.host.classList.add('sa-is-empty');
    this.empty.textContent = text;
    this.title.textContent = '';
    this.badge.textContent = '';
    this.saving.conflict.hidden = true;
    this.stage.setAttribute('aria-label', `Radiograph: ${text}`);
  }

  open(value) {
    this.opening += 1;
    this.timing = { openedAt: performance.now() };
    this.caseId = value.case_id;
    this.meta = value.meta;
    this.mayEdit = value.may_edit;
    this.history.clear();
    this.host.classList.remove('sa-is-empty');
    this.empty.textContent = '';
    this.say('');
    this.colours = new Map(this.meta.findings.map(({ name, colour }) => [name, colour]));
    this.title.textContent = this.meta.name;
    this.stage.setAttribute('aria-label', `Radiograph ${this.meta.name}`);
    this.viewer.open(prepared(this.meta));
    if (!this.colours.has(this.viewer.finding)) this.viewer.finding = this.meta.findings[0]?.name ?? '';
    this.rules = value.rules ?? {};
    this.viewer.certainty = this.firstCertainty();
    this.viewer.showEarlier(coloured(this.rules.earlier ?? []));
    this.toolbar.presets.fill(this.meta.presets, this.meta.default_preset);
    this.toolbar.press('invert', false);
    this.toolbar.setTool(this.viewer.gestures.tool);
    this.sidebar.setFindings(this.meta.findings);
    this.sidebar.setTexts(this.meta.texts);
    this.sidebar.setRules(this.rules, this.viewer.earlier);
    this.model = new ReadingModel(value.reading);
    this.adopt(value.reading);
    this.saving.refresh(); // the value may be older than the page, e.g. after a tab was opened again
    this.loadPicture(value, this.opening);
    if (!isTyping(document.activeElement)) this.stage.focus({ preventScroll: true });
  }

  async loadPicture(value, opening) {
    const isCurrent = () => this.opening === opening && this.caseId === value.case_id;
    this.host.classList.add('sa-is-loading');
    this.loadPreview(value.case_id, isCurrent);
    try {
      const pixels = await this.pixels.get(value.meta);
      if (!isCurrent()) return;
      this.viewer.picture.setPixels(pixels);
      this.host.classList.remove('sa-is-loading');
      this.timing.usableMs = performance.now() - this.timing.openedAt;
      this.checkPixels(pixels, value.meta, isCurrent);
      (value.prefetch ?? []).forEach((picture) => this.pixels.prefetch(picture));
    } catch (error) {
      if (isCurrent()) this.say(`The picture could not be loaded: ${error.message}`, true);
    }
  }

  async loadPreview(caseId, isCurrent) {
    if (this.pixels.cases.get(caseId)?.isLoaded) return;
    const bitmap = await transport.fetchPreview(caseId).catch(() => null); // the pixels will say why
    if (bitmap && isCurrent() && !this.viewer.picture.raster) {
      this.viewer.picture.setPreview(bitmap);
      this.timing.previewMs = performance.now() - this.timing.openedAt;
    } else bitmap?.close();
  }

  // What is shown must be what was imported.
  async checkPixels(pixels, meta, isCurrent) {
    this.pixelHash = null;
    const hash = await sha256(pixels);
    if (!isCurrent()) return;
    this.pixelHash = hash;
    if (hash && hash !== meta.pixel_sha256) {
      this.say('The pixels that arrived are not those that were imported. Do not read this picture; reload the page.', true);
    }
  }

  // --- the reading -------------------------------------------------------------------------------

  get isEditable() {
    return Boolean(this.model?.is_open && this.mayEdit);
  }

  adopt(reading) {
    if (!this.model || reading.image_id !== this.caseId) return;
    if (reading.version < this.model.version) return; // an answer that was overtaken
    this.model.adopt(reading, this.saving.pendingOf(this.caseId));
    this.showReading();
    this.saving.showConflict();
  }

  showReading() {
    const { model } = this;
    if (!model) return;
    this.clock.turn();
    this.viewer.setReading({ regions: model.regions, isEditable: this.isEditable });
    this.badge.textContent = STATUS_NAMES[model.status];
    this.badge.dataset.status = model.status;
    this.host.dataset.status = model.status;
    this.host.classList.toggle('sa-is-closed', !model.is_open);
    this.toolbar.enable('undo', this.isEditable && this.history.done.length > 0);
    this.toolbar.enable('redo', this.isEditable && this.history.undone.length > 0);
    this.showSidebar();
    document.dispatchEvent(new CustomEvent('sa-reading', {
      detail: { case_id: this.caseId, status: this.shownStatus(), n_regions: model.regions.length },
    }));
  }

  // The first edit makes a draft, also before the server has said so.
  shownStatus() {
    return this.model.status === 'new' && this.model.nPending ? 'draft' : this.model.status;
  }

  showSidebar() {
    if (!this.model) return;
    this.sidebar.show({
      model: this.model, selected: this.viewer.selected(), isFresh: this.isFresh(), finding: this.viewer.finding,
      certainty: this.viewer.certainty, rules: this.rules ?? {}, colourOf: (name) => this.colourOf(name), isEditable: this.isEditable,
    });
  }

  // Just drawn and not picked since: a key then chooses the finding of the next box, not of this one.
  isFresh() {
    return this.viewer.selectedId !== null && this.viewer.selectedId === this.freshId;
  }

  colourOf(finding) {
    return this.colours.get(finding) ?? '#ffffff';
  }

  // Makes the change here, sends it, and remembers how to take it back. False when it is refused.
  edit(change, tag = '') {
    if (!this.model || !this.mayEdit) return false;
    const reason = this.model.refusal(change);
    if (reason) {
      this.say(reason);
      this.viewer.drawBoxes();
      return false;
    }
    const isNew = change.kind === 'put' && !this.model.region(change.region.region_id);
    this.history.record(change, this.perform(change), { tag });
    if (isNew) this.freshId = change.region.region_id;
    if (isNew) this.viewer.certainty = this.firstCertainty();
    this.showReading();
    return true;
  }

  perform(change) {
    const base = this.model.nextBase;
    const inverse = this.model.apply(change);
    this.saving.add(this.caseId, base, change);
    return inverse;
  }

  // One step of the history, 'undo' or 'redo'. A step that is refused now stays the next one.
  takeBack(way) {
    const change = this.isEditable ? this.history[way]() : null;
    if (!change) return;
    const reason = this.model.refusal(change);
    if (reason) {
      this.history[way === 'undo' ? 'redo' : 'undo']();
      this.say(`Nothing was taken back: ${reason}`);
      return;
    }
    this.perform(change);
    if (change.kind === 'put') this.viewer.selectedId = change.region.region_id;
    this.showReading();
  }

  changeSelected(changes) {
    const region = this.viewer.selected();
    if (!region || !this.isEditable) return;
    const isSame = Object.entries(changes).every(([name, value]) => region[name] === value);
    if (!isSame) this.edit({ kind: 'put', region: { ...region, ...changes } });
  }

  // Of the box that the text was typed for, whichever is selected by now.
  setNote(note, id) {
    const region = this.model?.region(id);
    if (region && this.isEditable && region.note !== note) {
      this.edit({ kind: 'put', region: { ...region, note } }, `note/${id}`);
    }
  }

  chooseFinding(name) {
    if (!this.isEditable) return;
    const isPicked = this.viewer.selectedId !== null && !this.isFresh();
    if (isPicked) this.changeSelected({ finding: name });
    else this.viewer.finding = name;
    if (this.isFresh() && this.viewer.selected().finding !== name) {
      this.say(`The next box will be ${name}. Press Enter to give it to the box just drawn, too.`);
    }
    this.showSidebar();
  }

  // Where the protocol asks for it, nothing is said until the reader says it, for each box anew.
  firstCertainty() {
    return this.rules?.needs_certainty ? '' : this.viewer.certainty || 'definite';
  }

  chooseCertainty(name) {
    if (this.viewer.selected()) this.changeSelected({ certainty: name });
    else this.viewer.certainty = name;
    this.showSidebar();
  }

  selectionChanged() {
    if (this.viewer.selectedId !== this.freshId) this.freshId = null;
    this.showSidebar();
  }

  choosePreset(index) {
    const preset = this.viewer.picture.meta?.presets[index];
    if (preset) this.viewer.picture.setPreset(preset);
    this.toolbar.presets.show(index);
    this.stage.focus({ preventScroll: true });
  }

  // --- keys, commands, messages ------------------------------------------------------------------

  run(command, event) {
    this.commands[command]?.(event);
  }

  // A sentence over the picture; a lasting one stays until something else is said.
  say(text, isLasting = false) {
    clearTimeout(this.messageTimer);
    this.message.textContent = text;
    this.message.hidden = !text;
    if (text && !isLasting) this.messageTimer = setTimeout(() => { this.message.hidden = true; }, MESSAGE_MS);
  }
}
