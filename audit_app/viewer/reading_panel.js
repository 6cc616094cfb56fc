// The reading panel: one case at a time, its picture, boxes, edits and commit.
// The server sends one value {case_id, meta, reading, ...}; edits go to our own routes and are acknowledged.

import { el, isTyping, uuid } from './dom.js';
import { prepared } from './meta.js';
import { comboOf, commandOf } from './keys.js';
import { Outbox } from './outbox.js';
import { PixelCache, sha256 } from './pixels.js';
import { History, ReadingModel } from './reading.js';
import { buildShortcutSheet } from './sheet.js';
import { Sidebar } from './sidebar.js';
import { Toolbar } from './toolbar.js';
import * as transport from './transport.js';
import { RadiographViewer } from './viewer.js';
import { buildCommands } from './commands.js';

const MESSAGE_MS = 6000;
const STEP_ANSWER_MS = 4000;
const STATUS_NAMES = { new: 'not read', draft: 'draft', committed: 'committed', revised: 'revised' };

export class ReadingPanel {
  // trigger(event, data) reaches Python: 'step', 'changed', 'compare'.
  constructor(host, trigger) {
    Object.assign(this, { host, trigger, caseId: null, model: null, history: new History(), outbox: null, opening: 0 });
    this.pixels = new PixelCache({ fetchPixels: transport.fetchPixels });
    this.colours = new Map();
    this.timing = {};
    this.build();
    this.viewer = new RadiographViewer(this.stage, this.viewerOwner());
    this.commands = buildCommands(this);
    this.listen();
    this.showEmpty('Choose a case in the worklist.');
    host.readingPanel = this;
  }

  // --- building ----------------------------------------------------------------------------------

  build() {
    this.title = el('h2', { class: 'sa-title' });
    this.badge = el('span', { class: 'sa-badge' });
    this.saved = el('span', { class: 'sa-saved', role: 'status', 'aria-live': 'polite' });
    this.toolbar = new Toolbar({ run: (command) => this.run(command), choosePreset: (index) => this.choosePreset(index) });
    this.sidebar = new Sidebar(this.sidebarOwner());
    this.stage = el('div', { class: 'sa-stage', tabindex: 0, role: 'application', 'aria-label': 'Radiograph: no case is open' });
    this.empty = el('p', { class: 'sa-empty' });
    this.message = el('p', { class: 'sa-message', role: 'alert', hidden: true });
    this.conflict = el('div', { class: 'sa-conflict', role: 'alert', hidden: true });
    this.sheet = buildShortcutSheet();
    this.stage.append(this.empty);
    this.host.replaceChildren(
      el('header', { class: 'sa-top' }, this.title, this.badge, el('div', { class: 'sa-spacer' }), this.saved),
      this.toolbar.root, this.conflict,
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
      windowChanged: () => this.toolbar.showPreset(-1),
      colourOf: (finding) => this.colourOf(finding),
    };
  }

  sidebarOwner() {
    return {
      chooseFinding: (name) => this.chooseFinding(name),
      chooseCertainty: (name) => this.chooseCertainty(name),
      selectBox: (id) => this.viewer.select(id, { withFocus: true }),
      deleteBox: (id) => this.edit({ kind: 'delete', region_id: id }),
      setNote: (text) => this.changeSelected({ note: text.trim() }),
      run: (command) => this.run(command),
    };
  }

  listen() {
    const active = (listener) => (event) => {
      if (this.host.isConnected) listener(event);
      else this.dispose();
    };
    this.listeners = [
      ['keydown', active((event) => this.keyDown(event))],
      ['keyup', active((event) => this.keyUp(event))],
    ];
    this.wake = active(() => this.outbox?.retryNow());
    for (const [type, listener] of this.listeners) document.addEventListener(type, listener);
    window.addEventListener('online', this.wake);
    window.addEventListener('blur', () => this.keysReleased());
  }

  dispose() {
    for (const [type, listener] of this.listeners) document.removeEventListener(type, listener);
    window.removeEventListener('online', this.wake);
    this.viewer.dispose();
  }

  // --- opening a case ----------------------------------------------------------------------------

  // One atomic value; null closes. The same case again only brings a newer reading.
  show(value) {
    this.opening += 1;
    clearTimeout(this.stepTimer);
    this.isStepping = false;
    if (!value) return this.showEmpty('Choose a case in the worklist.');
    this.startOutbox(value);
    if (value.problem) return this.showEmpty(value.problem, value.title);
    if (value.case_id === this.caseId) return this.adopt(value.reading);
    return this.open(value);
  }

  showEmpty(text, title = '') {
    this.caseId = null;
    this.model = null;
    this.viewer.close();
    this.host.classList.add('sa-is-empty');
    this.empty.textContent = text;
    this.title.textContent = title;
    this.badge.textContent = '';
    this.conflict.hidden = true;
    this.stage.setAttribute('aria-label', `Radiograph: ${text}`);
  }

  open(value) {
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
    this.viewer.certainty = 'definite';
    this.toolbar.setPresets(this.meta.presets, this.meta.default_preset);
    this.toolbar.press('invert', false);
    this.toolbar.setTool(this.viewer.gestures.tool);
    this.sidebar.setFindings(this.meta.findings);
    this.sidebar.setTexts(this.meta.texts);
    this.model = new ReadingModel(value.reading);
    this.adopt(value.reading);
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
    this.model.adopt(reading, this.outbox.pendingOf(this.caseId));
    this.showReading();
    this.showConflict();
  }

  showReading() {
    const { model } = this;
    if (!model) return;
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
      certainty: this.viewer.certainty, colourOf: (name) => this.colourOf(name), isEditable: this.isEditable,
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
    this.showReading();
    return true;
  }

  perform(change) {
    const base = this.model.nextBase;
    const inverse = this.model.apply(change);
    this.outbox.add(this.caseId, base, change);
    return inverse;
  }

  takeBack(change) {
    if (!this.isEditable || !change) return;
    const reason = this.model.refusal(change);
    if (reason) return this.say(reason);
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
    this.toolbar.showPreset(index);
    this.stage.focus({ preventScroll: true });
  }

  // --- saving ------------------------------------------------------------------------------------

  startOutbox({ outbox_key: key }) {
    if (!key || this.outbox?.prefix === key) return;
    this.outbox = new Outbox({
      prefix: key, clientId: uuid(), storage: localStorageOrNone(), noteStorage: globalThis.sessionStorage,
      send: transport.sendEdit, timers: window,
      listener: {
        state: (name, pending) => this.showSaved(name, pending),
        acknowledged: (edit, reading) => edit.image_id === this.caseId && this.adopt(reading),
        refused: (edits, body) => this.outdated(edits, body),
        rejected: (edit, body) => this.rejected(edit, body),
      },
    });
    this.outbox.start();
  }

  showSaved(state, pending) {
    const changes = pending === 1 ? '1 change' : `${pending} changes`;
    const texts = {
      saved: 'Saved', saving: 'Saving …', retrying: `Not saved – retrying (${changes} kept in this browser)`,
      signed_out: `Not saved – sign in again (${changes} kept in this browser)`,
    };
    this.saved.dataset.state = state;
    this.saved.textContent = texts[state];
    if (this.outbox?.isStorageBroken && pending) this.saved.textContent += ' – this browser keeps nothing: do not close the page';
  }

  outdated(edits, body) {
    if (edits[0].image_id !== this.caseId) return;
    this.history.clear();
    if (body?.reading) this.adopt(body.reading);
    this.showReading();
    this.showConflict();
  }

  async rejected(edit, body) {
    if (edit.image_id !== this.caseId) return;
    this.history.clear();
    this.say(`Not saved: ${body?.message ?? 'the server refused this change'}`, true);
    await this.refresh();
  }

  // Asks the server how the reading stands, e.g. when the page was built from an older value.
  async refresh() {
    const caseId = this.caseId;
    const answer = await transport.fetchReading(caseId).catch(() => null);
    if (answer?.status === 200 && this.caseId === caseId) this.adopt(answer.body.reading);
  }

  showConflict() {
    const held = this.caseId ? this.outbox.heldOf(this.caseId) : [];
    this.conflict.hidden = held.length === 0;
    if (!held.length) return;
    const many = held.length === 1 ? 'One change was' : `${held.length} changes were`;
    const button = (text, apply) => el('button', { type: 'button', text, on: { click: () => this.resolve(apply) } });
    this.conflict.replaceChildren(
      el('span', { text: `This reading was changed elsewhere (another window?). You see its present state. ${many} not saved.` }),
      button('Make mine again', true), button('Drop mine', false),
    );
  }

  resolve(applyAgain) {
    if (applyAgain && !this.isEditable) {
      this.say('The reading was committed meanwhile. Press Correct first, then make your changes again.');
      return;
    }
    const held = this.outbox.takeHeld(this.caseId);
    if (applyAgain) for (const { kind, region, region_id: id, no_finding: none } of held) this.redoHeld({ kind, region, region_id: id, no_finding: none });
    this.showConflict();
    this.stage.focus({ preventScroll: true });
  }

  redoHeld(change) {
    const isGone = change.kind === 'delete' && !this.model.region(change.region_id);
    if (!isGone) this.edit(change);
  }

  // --- commit ------------------------------------------------------------------------------------

  async commit() {
    const { caseId } = this;
    if (!this.isEditable || this.isCommitting) return;
    if (this.outbox.heldOf(caseId).length) return this.say('Decide first about the changes that were not saved.');
    if (!this.model.regions.length && !this.model.no_finding) {
      return this.say('Mark what you see, or choose No Finding, before the commit.');
    }
    this.isCommitting = true;
    if (this.outbox.pendingOf(caseId).length) this.say('The commit waits until every change is saved …');
    await this.outbox.flushed(caseId);
    if (!this.outbox.heldOf(caseId).length) await this.act(caseId, () => transport.commitReading(caseId, this.model.version), 'The commit was not saved');
    this.isCommitting = false;
  }

  async correct() {
    const { caseId } = this;
    if (this.mayEdit && this.model && !this.model.is_open) {
      await this.act(caseId, () => transport.reopenReading(caseId), 'The reading could not be opened again');
    }
  }

  async act(caseId, request, failure) {
    if (this.caseId !== caseId) return;
    const answer = await request().catch(() => null);
    if (this.caseId !== caseId) return;
    this.say('');
    if (answer?.body?.reading) {
      this.history.clear();
      this.adopt(answer.body.reading);
    }
    if (answer?.body?.ok) this.trigger('changed', { case_id: caseId });
    else this.say(`${failure}: ${answer?.body?.message ?? 'the server did not answer; try again'}`, true);
  }

  // --- keys, commands, messages ------------------------------------------------------------------

  run(command, event) {
    this.commands[command]?.(event);
  }

  step(by) {
    if (!this.caseId || this.isStepping) return;
    this.isStepping = true;
    this.stepTimer = setTimeout(() => { this.isStepping = false; }, STEP_ANSWER_MS);
    this.trigger('step', { case_id: this.caseId, step: by });
  }

  keyDown(event) {
    if (!this.host.offsetParent || this.sheet.open || isTyping(event.target) || event.defaultPrevented) return;
    const onControl = event.target.closest?.('button,summary,a,[role=tab]');
    if (event.key === ' ' && !onControl) {
      this.viewer.gestures.isSpaceDown = true;
      this.viewer.gestures.showCursor();
      event.preventDefault();
      return;
    }
    const command = commandOf(event);
    if (!command || (onControl && event.key === 'Enter' && !event.ctrlKey) || isOutside(event.target, this.host)) return;
    if (this.commands[command]?.(event, comboOf(event)) !== false) event.preventDefault();
  }

  keyUp(event) {
    if (event.key === ' ' || event.key.toLowerCase() === 'h') this.keysReleased();
  }

  keysReleased() {
    this.viewer.gestures.isSpaceDown = false;
    this.viewer.gestures.showCursor();
    if (!this.isHidden) this.viewer.setHidden(false);
  }

  // A sentence over the picture; a lasting one stays until something else is said.
  say(text, isLasting = false) {
    clearTimeout(this.messageTimer);
    this.message.textContent = text;
    this.message.hidden = !text;
    if (text && !isLasting) this.messageTimer = setTimeout(() => { this.message.hidden = true; }, MESSAGE_MS);
  }
}

// Keys typed into other parts of the page are theirs, but for the worklist and the bare page.
function isOutside(target, host) {
  return !(target === document.body || host.contains(target) || target.closest?.('.sa-worklist'));
}

function localStorageOrNone() {
  try {
    return globalThis.localStorage;
  } catch {
    return null; // blocked by the browser; the outbox says so
  }
}
