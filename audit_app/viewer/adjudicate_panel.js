// Two readings side by side and what comes of them: each region accepted, edited or rejected.
// Decisions are kept until the server has answered, as edits are in the reading panel.

import { bare, decided, withDecisions } from './adjudicating.js';
import { nudgeOrPan, pictureCommands } from './commands.js';
import { Deciding } from './deciding.js';
import { el, isTyping } from './dom.js';
import { Keyboard } from './keyboard.js';
import { prepared } from './meta.js';
import { PixelCache } from './pixels.js';
import { Raster } from './raster.js';
import { buildShortcutSheet } from './sheet.js';
import { Stepping } from './stepping.js';
import { PresetList } from './toolbar.js';
import * as transport from './transport.js';
import { RadiographViewer } from './viewer.js';
import { WorkClock, workedOn } from './work_clock.js';

const DECISIONS = [['accept', 'Accept'], ['edit', 'Edit'], ['reject', 'Reject']];
const CERTAINTIES = ['definite', 'probable', 'possible'];
const STATUS_NAMES = { draft: 'begun', committed: 'adjudicated', revised: 'adjudicated, corrected' };
const PLACES = ['left', 'result', 'right'];

export class AdjudicationPanel {
  // trigger(event, data) reaches Python: 'changed' and 'step'.
  constructor(host, trigger = () => {}) {
    Object.assign(this, { host, trigger, caseId: null, state: null, opening: 0, isHidden: false });
    this.pixels = new PixelCache({ fetchPixels: transport.fetchPixels });
    this.clock = new WorkClock(() => workedOn(this));
    this.saving = new Deciding(this);
    this.stepping = new Stepping(this);
    this.build();
    this.keyboard = new Keyboard(this);
    this.listen();
    host.adjudicationPanel = this;
    this.show(null);
  }

  // --- building ----------------------------------------------------------------------------------

  build() {
    const button = (text, title, click) => el('button', { type: 'button', class: 'sa-tool', text, title, on: { click } });
    this.title = el('h2', { class: 'sa-case-name' });
    this.badge = el('span', { class: 'sa-badge' });
    this.presets = new PresetList((index) => this.choosePreset(index));
    this.toolbar = { press: () => {} }; // without buttons that stay pressed
    this.message = el('p', { class: 'sa-message', role: 'alert', hidden: true });
    this.panes = Object.fromEntries(PLACES.map((place) => [place, this.buildPane(place)]));
    this.list = el('div', { class: 'sa-side-scroll' });
    this.commit = el('button', { type: 'button', class: 'sa-commit', on: { click: () => this.saving.act('commit') } });
    this.correct = el('button', { type: 'button', text: 'Correct', title: 'Open it again; the committed version stays', on: { click: () => this.saving.act('reopen') } });
    this.empty = el('p', { class: 'sa-empty' });
    this.main = el('div', { class: 'sa-main sa-adjudicate' },
      ...PLACES.map((place) => this.panes[place].root),
      el('aside', { class: 'sa-side', 'aria-label': 'Decisions' }, this.list, el('section', { class: 'sa-committing', 'aria-label': 'Commit' }, this.commit, this.correct)));
    this.commands = this.buildCommands();
    this.sheet = buildShortcutSheet(this.commands);
    this.host.classList.add('sa-panel');
    this.host.replaceChildren(
      el('header', { class: 'sa-top' }, this.title, this.badge, el('div', { class: 'sa-spacer' }), this.presets.root,
        button('Fit', 'Fit to the panes (F)', () => this.commands.fit()),
        button('‹', 'Previous picture (K)', () => this.stepping.step(-1)), button('›', 'Next picture (J)', () => this.stepping.step(1)),
        button('?', 'Keyboard shortcuts (?)', () => this.commands.help()), this.saving.state),
      this.saving.conflict, this.message, this.main, this.empty, this.sheet);
  }

  // The keys of the reading panel for what both have.
  buildCommands() {
    const { viewer, stage } = this.panes.result;
    const own = {
      next: () => this.stepping.step(1),
      previous: () => this.stepping.step(-1),
      commit: () => { if (this.caseId && !this.commit.hidden && !this.commit.disabled) this.saving.act('commit'); },
      nudge: (event) => nudgeOrPan(viewer, event, stage.contains(event.target)),
      escape: () => this.state && this.selectResult(null),
    };
    return { ...pictureCommands(this), ...own };
  }

  listen() {
    this.disposal = new AbortController();
    const on = (target, type, listener, options = {}) => target.addEventListener(type, (event) => {
      if (this.host.isConnected) listener(event);
      else this.disposal.abort();
    }, { ...options, signal: this.disposal.signal });
    on(document, 'keydown', (event) => this.keyboard.down(event));
    on(document, 'keyup', (event) => this.keyboard.up(event));
    on(window, 'blur', () => this.keyboard.released());
    on(window, 'online', () => this.saving.retryNow());
    on(window, 'beforeunload', (event) => this.saving.leaving(event));
    this.clock.listen(on, this.host);
  }

  buildPane(place) {
    const title = el('h3', {});
    const note = el('p', { class: 'sa-subtitle' });
    const stage = el('div', { class: 'sa-stage', tabindex: 0, role: 'application', 'aria-label': place });
    const root = el('section', { class: 'sa-pane', 'data-place': place }, el('header', {}, title, note), stage);
    const viewer = new RadiographViewer(stage, {
      edit: (change) => this.resultChanged(change),
      refuse: (text) => this.say(text),
      selected: (id) => this.selected(place, id),
      windowChanged: () => this.presets.show(-1),
      colourOf: (finding, region) => this.colourOf(place, region),
    });
    viewer.gestures.tool = 'select';
    this.tie(viewer.picture);
    return { root, title, note, stage, viewer };
  }

  // Zoom, place and window are the same everywhere.
  tie(picture) {
    picture.own = {};
    for (const name of ['setView', 'setPreset', 'setInverted']) {
      picture.own[name] = picture[name].bind(picture);
      picture[name] = (...details) => this.viewers().forEach((viewer) => viewer.picture.own[name](...details));
    }
  }

  // Whose keys move and window all three.
  get viewer() {
    return this.panes.result.viewer;
  }

  get stage() {
    return this.panes.result.stage;
  }

  viewers() {
    return PLACES.map((place) => this.panes[place].viewer);
  }

  // --- opening a case ----------------------------------------------------------------------------

  // {case_id, meta, adjudication}, {case_id, problem}, or null.
  show(value) {
    this.stepping.answered();
    if (value) this.saving.start(value);
    const problem = value ? value.problem : 'Choose a picture that two readers have committed.';
    this.host.classList.toggle('sa-is-empty', Boolean(problem));
    this.main.hidden = Boolean(problem);
    this.empty.textContent = problem ?? '';
    if (problem) {
      this.opening += 1;
      this.caseId = null;
      this.clock.turn();
      this.title.textContent = '';
      this.badge.textContent = '';
      this.saving.conflict.hidden = true;
      this.viewers().forEach((viewer) => viewer.close());
      return;
    }
    if (value.case_id !== this.caseId) this.open(value);
    this.adopt(value.adjudication);
    this.saving.showConflict();
  }

  open(value) {
    this.opening += 1;
    this.caseId = value.case_id;
    this.selectedId = null;
    this.state = null;
    this.meta = prepared(value.meta);
    this.title.textContent = this.meta.name;
    this.say('');
    this.presets.fill(this.meta.presets, this.meta.default_preset);
    this.viewers().forEach((viewer) => viewer.open(this.meta));
    this.loadPicture(this.opening);
    if (!isTyping(document.activeElement)) this.stage.focus({ preventScroll: true }); // for its keys
  }

  async loadPicture(opening) {
    try {
      const pixels = await this.pixels.get(this.meta);
      if (this.opening !== opening) return;
      const raster = new Raster(pixels, this.meta.width, this.meta.height);
      this.viewers().forEach((viewer) => viewer.picture.setRaster(raster, pixels));
    } catch (error) {
      if (this.opening === opening) this.say(`The picture could not be loaded: ${error.message}`);
    }
  }

  choosePreset(index) {
    const preset = this.meta?.presets[index];
    if (preset) this.viewer.picture.setPreset(preset);
    this.presets.show(index);
  }

  // --- how it stands -----------------------------------------------------------------------------

  // The server's word, with what it has not answered yet on top.
  adopt(state) {
    const isOvertaken = this.state && state.version < this.state.version;
    if (state.image_id !== this.caseId || isOvertaken) return;
    this.state = withDecisions(state, this.saving.pendingOf(this.caseId));
    this.showReading();
  }

  showReading() {
    const { state } = this;
    const [left, right] = state.parents;
    this.clock.turn();
    this.showParent(this.panes.left, left);
    this.showParent(this.panes.right, right);
    this.panes.result.title.textContent = 'Adjudicated';
    this.panes.result.note.textContent = state.regions.length ? 'drag or resize to edit' : '';
    this.panes.result.viewer.setReading({ regions: state.regions, isEditable: state.is_open });
    this.badge.textContent = STATUS_NAMES[state.status] ?? '';
    this.badge.dataset.status = state.status;
    this.showList();
    this.showCommit();
  }

  showParent({ title, note, viewer, stage }, parent) {
    title.textContent = parent.reader;
    title.title = parent.reader;
    title.style.color = parent.colour;
    note.textContent = parent.no_finding ? 'No Finding' : '';
    stage.setAttribute('aria-label', `Radiograph with the reading of ${parent.reader}`);
    viewer.setReading({ regions: parent.regions, isEditable: false });
  }

  colourOf(place, region) {
    const parents = this.state?.parents ?? [];
    if (place === 'left') return parents[0]?.colour ?? '#ffffff';
    if (place === 'right') return parents[1]?.colour ?? '#ffffff';
    return this.originOf(region?.region_id)?.parent.colour ?? '#ffffff';
  }

  // The parent's region that a region of the result came from.
  originOf(resultId) {
    for (const parent of this.state?.parents ?? []) {
      const region = parent.regions.find((one) => one.result_id === resultId);
      if (region) return { parent, region };
    }
    return null;
  }

  resultOf(resultId) {
    return this.state.regions.find((region) => region.region_id === resultId) ?? null;
  }

  // --- the list of decisions ---------------------------------------------------------------------

  showList() {
    const focused = document.activeElement?.dataset?.key;
    const sections = this.state.parents.map((parent) => this.parentSection(parent));
    this.list.replaceChildren(...sections, this.editor());
    if (focused) this.list.querySelector(`[data-key="${focused}"]`)?.focus();
  }

  parentSection(parent) {
    const heading = el('h3', { class: 'sa-parent', text: parent.reader });
    heading.style.color = parent.colour;
    const rows = parent.regions.map((region) => this.regionRow(parent, region));
    return el('section', { 'aria-label': `Reading of ${parent.reader}` }, heading,
      ...parent.notes.map((text) => el('p', { class: 'sa-rule', text })),
      rows.length ? el('ul', { class: 'sa-decisions' }, ...rows) : el('p', { class: 'sa-quiet', text: parent.no_finding ? 'says No Finding' : 'marked nothing' }));
  }

  regionRow(parent, region) {
    const certainty = region.certainty === 'definite' ? '' : ` (${region.certainty})`;
    const overlap = region.overlap > 0 ? `IoU ${region.overlap.toFixed(2)} with the other` : 'only this reader';
    const buttons = DECISIONS.map(([name, text]) => el('button', {
      type: 'button', text, 'data-decision': name, 'data-key': `${region.result_id}-${name}`, disabled: !this.state.is_open,
      'aria-pressed': String(this.shownDecision(region) === name), 'aria-label': `${text} ${region.finding} of ${parent.reader}`,
      on: { click: () => this.decide(parent, region, name) },
    }));
    return el('li', {
      class: `sa-decision${region.result_id === this.selectedId ? ' sa-selected' : ''}`, 'data-decision': region.decision ?? '', 'data-region-id': region.region_id,
    }, el('div', { class: 'sa-said' }, el('span', { class: 'sa-name', text: region.finding + certainty }), el('span', { class: 'sa-quiet', text: overlap })),
    region.note ? el('p', { class: 'sa-quiet', text: region.note }) : null,
    el('div', { class: 'sa-segments', role: 'group', 'aria-label': `Decision on ${region.finding} of ${parent.reader}` }, ...buttons));
  }

  // An accepted region that is picked is being edited; as long as nothing changes it stays accepted.
  shownDecision(region) {
    const isPicked = region.result_id === this.selectedId && this.state.is_open;
    return isPicked && region.decision === 'accept' ? 'edit' : region.decision;
  }

  // Finding and certainty of the region of the result that is selected.
  editor() {
    const region = this.selectedId && this.resultOf(this.selectedId);
    if (!region || !this.state.is_open) return el('div', { class: 'sa-editor', hidden: true });
    const choice = (label, key, values, value, name) => el('label', {}, el('span', { text: label }), el('select', {
      'aria-label': label, 'data-key': key, on: { change: (event) => this.changeResult(region, { [name]: event.target.value }) },
    }, ...values.map((one) => el('option', { value: one, text: one, selected: one === value }))));
    const findings = [...new Set([...this.meta.findings.map(({ name }) => name), region.finding])];
    return el('section', { class: 'sa-editor', 'aria-label': 'Selected region of the result' },
      el('h3', { text: 'Selected region of the result' }),
      choice('Finding', 'edit-finding', findings, region.finding, 'finding'),
      choice('Certainty', 'edit-certainty', CERTAINTIES, region.certainty, 'certainty'),
      el('p', { class: 'sa-quiet', text: 'Drag it, or use the arrow keys, in the picture in the middle.' }));
  }

  showCommit() {
    const { is_open: isOpen, undecided, regions, commits } = this.state;
    this.commit.hidden = !isOpen;
    this.correct.hidden = isOpen;
    this.commit.disabled = undecided > 0;
    const what = commits ? 'the correction' : 'the adjudication';
    const open = undecided === 1 ? '1 region is' : `${undecided} regions are`;
    if (undecided) this.commit.textContent = `${open} still undecided`;
    else this.commit.textContent = regions.length ? `Commit ${what}` : `Commit ${what}: No Finding`;
  }

  // --- what the adjudicator does -----------------------------------------------------------------

  get isEditable() {
    return Boolean(this.state?.is_open);
  }

  perform(change) {
    const base = this.state.nextBase;
    this.say('');
    this.state = decided(this.state, change);
    this.saving.add(this.caseId, base, change);
    this.showReading();
  }

  // The same decision once more takes it back.
  decide(parent, region, name) {
    const isEdit = name === 'edit';
    if (name === 'accept' && region.decision === 'accept' && this.shownDecision(region) === 'edit') return this.selectResult(null);
    const decision = region.decision === name && !isEdit ? null : name;
    const result = this.resultOf(region.result_id) ?? region;
    const body = { parent_id: parent.parent_id, region_id: region.region_id, decision };
    if (!isEdit) this.perform(body);
    else if (!this.resultOf(region.result_id)) this.perform({ ...body, region: bare(result) });
    return this.selectResult(isEdit ? region.result_id : null);
  }

  selectResult(id) {
    this.selectedId = id;
    this.panes.result.viewer.select(id, { withFocus: id !== null });
    this.showList();
  }

  selected(place, id) {
    if (!this.state || (id === null && place !== 'result')) return;
    const resultId = place === 'result' ? id : this.parentRegion(id)?.result_id ?? null;
    if (resultId === this.selectedId) return;
    this.selectedId = resultId;
    this.showList();
  }

  parentRegion(id) {
    return this.state.parents.flatMap((parent) => parent.regions).find((region) => region.region_id === id);
  }

  // The viewer of the result changed a box; it draws nothing new and deletes nothing.
  resultChanged({ kind, region }) {
    const before = kind === 'put' && this.resultOf(region.region_id);
    if (!before) return false;
    this.changeResult(before, { box: region.box, shape: null });
    return true;
  }

  changeResult(region, changes) {
    const origin = this.originOf(region.region_id);
    if (!origin || !this.isEditable) return;
    this.perform({
      parent_id: origin.parent.parent_id, region_id: origin.region.region_id, decision: 'edit', region: bare({ ...region, ...changes }),
    });
  }

  // A sentence under the buttons, until another one is said.
  say(text) {
    this.message.textContent = text;
    this.message.hidden = !text;
  }
}
